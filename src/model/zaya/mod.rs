//! ZAYA: CCA attention, EDA router, top-1 experts (zaya.md section 3).
