//! Arrays on the host: what kernels are tested with.

use half::{bf16, f16};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    F32,
    F16,
    Bf16,
    U32,
}

impl Element {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Elements of one type; halves as their bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    F32(Vec<f32>),
    F16(Vec<u16>),
    Bf16(Vec<u16>),
    U32(Vec<u32>),
}

/// Row-major, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct HostArray {
    pub shape: Vec<usize>,
    pub elements: Elements,
}

impl HostArray {
    /// # Panics
    /// If there are not as many elements as the shape says.
    pub fn new(shape: &[usize], elements: Elements) -> Self {
        let array = Self {
            shape: shape.to_vec(),
            elements,
        };
        assert_eq!(array.len(), shape.iter().product::<usize>());
        array
    }

    pub fn f32(shape: &[usize], values: Vec<f32>) -> Self {
        Self::new(shape, Elements::F32(values))
    }

    pub fn u32(shape: &[usize], values: Vec<u32>) -> Self {
        Self::new(shape, Elements::U32(values))
    }

    /// `values` rounded to an element type.
    pub fn rounded(shape: &[usize], values: &[f64], element: Element) -> Self {
        let single = |x: &f64| *x as f32;
        let elements = match element {
            Element::F32 => Elements::F32(values.iter().map(single).collect()),
            Element::F16 => {
                Elements::F16(values.iter().map(|&x| f16::from_f64(x).to_bits()).collect())
            }
            Element::Bf16 => Elements::Bf16(
                values
                    .iter()
                    .map(|&x| bf16::from_f64(x).to_bits())
                    .collect(),
            ),
            Element::U32 => Elements::U32(values.iter().map(|&x| x as u32).collect()),
        };
        Self::new(shape, elements)
    }

    pub fn len(&self) -> usize {
        match &self.elements {
            Elements::F32(v) => v.len(),
            Elements::F16(v) | Elements::Bf16(v) => v.len(),
            Elements::U32(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn element(&self) -> Element {
        match self.elements {
            Elements::F32(_) => Element::F32,
            Elements::F16(_) => Element::F16,
            Elements::Bf16(_) => Element::Bf16,
            Elements::U32(_) => Element::U32,
        }
    }

    /// All elements, exactly.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.elements {
            Elements::F32(v) => v.iter().map(|&x| x.into()).collect(),
            Elements::F16(v) => v.iter().map(|&x| f16::from_bits(x).to_f64()).collect(),
            Elements::Bf16(v) => v.iter().map(|&x| bf16::from_bits(x).to_f64()).collect(),
            Elements::U32(v) => v.iter().map(|&x| x.into()).collect(),
        }
    }

    /// The elements of a `U32` array.
    ///
    /// # Panics
    /// If it is of another type.
    pub fn as_u32(&self) -> &[u32] {
        match &self.elements {
            Elements::U32(v) => v,
            _ => panic!("not an array of integers"),
        }
    }

    /// Little-endian bytes of all elements.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.elements {
            Elements::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Elements::F16(v) | Elements::Bf16(v) => {
                v.iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            Elements::U32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// The reverse of [`HostArray::to_bytes`]; `None` if the bytes are not as
    /// many as the shape needs.
    pub fn from_bytes(shape: &[usize], element: Element, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != shape.iter().product::<usize>() * element.size() {
            return None;
        }
        let halves = || {
            bytes
                .chunks_exact(2)
                .map(|b| u16::from_le_bytes([b[0], b[1]]))
                .collect()
        };
        let words = || {
            bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        };
        let elements = match element {
            Element::F32 => Elements::F32(words().map(f32::from_bits).collect()),
            Element::F16 => Elements::F16(halves()),
            Element::Bf16 => Elements::Bf16(halves()),
            Element::U32 => Elements::U32(words().collect()),
        };
        Some(Self::new(shape, elements))
    }
}
