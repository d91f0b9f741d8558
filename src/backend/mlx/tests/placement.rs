//! Weights in a mapped file are views where they can be and copies elsewhere, of
//! the same numbers; what is copied is counted.

use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use mlx_rs::{Array, Dtype};

use crate::backend::mlx::raw;
use crate::backend::mlx::uploads::{Placement, Uploads, alignment};
use crate::quant::{Bytes, Memory, Owner};

/// A page-aligned region of bytes that differ.
fn region(len: usize) -> Owner {
    let mut map = MmapMut::map_anon(len).unwrap();
    for (at, byte) in map.iter_mut().enumerate() {
        // No exponent of all ones: bytes are compared through numbers as well.
        *byte = (at * 7 % 121) as u8;
    }
    let map: Mmap = map.make_read_only().unwrap();
    Arc::new(map)
}

fn bytes_of(array: &Array) -> Vec<u8> {
    let flat = array.reshape(&[-1]).unwrap().contiguous().unwrap();
    let flat = flat.view_dtype(Dtype::Uint8).unwrap();
    flat.to_vec_exact::<u8>().unwrap()
}

fn pages(len: usize) -> usize {
    let page = rustix::param::page_size();
    len / page * page
}

fn size(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Uint8 => 1,
        Dtype::Float16 | Dtype::Bfloat16 => 2,
        _ => 4,
    }
}

/// All bytes in MLX's hands, and those that are not in the file's own.
fn total(placement: Placement) -> usize {
    placement.mapped + placement.copied
}

/// Uploads `parts` and returns the bytes that this added to what MLX holds.
fn added(uploads: &Uploads, parts: &[Bytes], dtype: Dtype) -> usize {
    let parts: Vec<&Bytes> = parts.iter().collect();
    let expected: Vec<u8> = parts.iter().flat_map(|p| p.iter().copied()).collect();
    let before = total(uploads.placement());
    let array = uploads
        .array(&parts, &[expected.len() / size(dtype)], dtype)
        .unwrap();
    assert_eq!((array.dtype(), bytes_of(&array)), (dtype, expected));
    total(uploads.placement()) - before
}

#[test]
fn views_begin_where_they_may() {
    let len = 3 * rustix::param::page_size() + 1000;
    let owner = region(len);
    let whole = pages(len);
    let uploads = Uploads::default();
    let first = Bytes::new(Arc::clone(&owner), 0..64);
    assert_eq!(added(&uploads, &[first], Dtype::Uint32), whole);
    for (dtype, alignment) in [
        (Dtype::Uint8, 4),
        (Dtype::Float16, 8),
        (Dtype::Bfloat16, 8),
        (Dtype::Uint32, 4),
        (Dtype::Float32, 16),
    ] {
        for count in [1, 3, 8] {
            for start in (0..70).chain(whole - 40..whole + 20) {
                let range = start..start + count * size(dtype);
                let view = start % alignment == 0 && range.end.div_ceil(4) * 4 <= whole;
                let want = if view { 0 } else { range.len() };
                let part = Bytes::new(Arc::clone(&owner), range);
                let got = added(&uploads, &[part], dtype);
                assert_eq!(got, want, "{count} of {dtype:?} at {start}");
            }
        }
    }
}

#[test]
fn a_stack_is_a_view_if_its_parts_lie_in_order() {
    let owner = region(2 * rustix::param::page_size());
    let part = |start: usize| Bytes::new(Arc::clone(&owner), start..start + 96);
    let uploads = Uploads::default();
    added(&uploads, &[part(0)], Dtype::Uint32);
    let cases = [
        (vec![part(64), part(160), part(256)], true),
        (vec![part(160), part(64), part(256)], false),
        (vec![part(64), part(164), part(260)], false),
        (vec![part(64), part(64)], false),
        // Neighbours in another file.
        (vec![part(64), Bytes::from_vec(vec![3; 96])], false),
    ];
    for (case, (parts, view)) in cases.iter().enumerate() {
        let want = if *view { 0 } else { 96 * parts.len() };
        assert_eq!(added(&uploads, parts, Dtype::Uint32), want, "case {case}");
    }
}

/// Embedded bytes lie anywhere: here, four bytes behind the start of a page.
struct Embedded(Vec<u8>);

impl AsRef<[u8]> for Embedded {
    fn as_ref(&self) -> &[u8] {
        let page = rustix::param::page_size();
        let start = (page + 4 - self.0.as_ptr().addr() % page) % page;
        &self.0[start..]
    }
}

impl Memory for Embedded {}

/// Bytes that begin on no page are copied tensor by tensor.
#[test]
fn what_is_not_mapped_is_copied() {
    let owner: Owner = Arc::new(Embedded(vec![5; 4 * rustix::param::page_size()]));
    let uploads = Uploads::default();
    let part = Bytes::new(owner, 12..76);
    assert_eq!(
        added(&uploads, std::slice::from_ref(&part), Dtype::Uint32),
        64
    );
    assert_eq!(added(&uploads, &[part], Dtype::Float16), 64);
    assert_eq!(uploads.placement().mapped, 0);
}

/// A page of one number, which begins on a page.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Memory for Page {}

/// Memory that was let go may be another file's by the next time, at the same place.
#[test]
fn another_file_in_the_same_place_is_another_file() {
    let uploads = Uploads::default();
    for number in 0..100 {
        let owner: Owner = Arc::new(Page([number; 4096]));
        let part = Bytes::new(owner, 0..4096);
        let array = uploads.array(&[&part], &[1024], Dtype::Uint32).unwrap();
        assert_eq!(bytes_of(&array), [number; 4096]);
    }
}

/// Halves that are widened count as what they become, and no more.
#[test]
fn widened_halves_count_once() {
    let owner = region(2 * rustix::param::page_size());
    let uploads = Uploads::default();
    for (start, stored, bytes) in [
        (32, Dtype::Float16, 200),
        (34, Dtype::Float16, 200),
        (33, Dtype::Bfloat16, 200),
        (32, Dtype::Float32, 0),
        (36, Dtype::Float32, 200),
    ] {
        let count = 50;
        added(
            &uploads,
            &[Bytes::new(Arc::clone(&owner), 0..4)],
            Dtype::Uint32,
        );
        let part = Bytes::new(Arc::clone(&owner), start..start + count * size(stored));
        let before = total(uploads.placement());
        let array = uploads.floats(&[&part], &[count], stored).unwrap();
        assert_eq!(
            total(uploads.placement()) - before,
            bytes,
            "{stored:?} at {start}"
        );
        let want: Vec<f32> = match stored {
            Dtype::Float16 => halves(&part)
                .map(|h| half::f16::from_bits(h).to_f32())
                .collect(),
            Dtype::Bfloat16 => halves(&part)
                .map(|h| half::bf16::from_bits(h).to_f32())
                .collect(),
            _ => part
                .chunks(4)
                .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
                .collect(),
        };
        assert_eq!(array.to_vec_exact::<f32>().unwrap(), want);
    }
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]]))
}

/// Every tensor of bundles as converters write them.
#[test]
fn tensors_of_real_files_are_what_the_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "tests/golden/zaya/JANGTQ_K",
        "tests/golden/zaya/MXFP4",
        "tests/golden/zaya/BF16",
        "models/demo",
    ] {
        let uploads = Uploads::default();
        let mut want = 0;
        for entry in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "safetensors") {
                want += check_file(&uploads, &path);
            }
        }
        let placement = uploads.placement();
        println!("{name}: {placement:?}");
        assert_eq!(total(placement), want, "{name}");
        // MLX's CPU device can't work in foreign memory.
        if cfg!(not(target_os = "macos")) {
            assert_eq!(placement.mapped, 0);
        }
    }
}

/// The bytes that uploading a whole file must add.
fn check_file(uploads: &Uploads, path: &Path) -> usize {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: the files are part of the source and not written to by any test.
    let map = Arc::new(unsafe { Mmap::map(&file) }.unwrap());
    let owner: Owner = map.clone();
    let whole = pages(map.len());
    let mut want = whole;
    let base = map.as_ptr().addr();
    let tensors = safetensors::SafeTensors::deserialize(&map).unwrap();
    for (_, tensor) in tensors.iter() {
        let dtype = match tensor.dtype() {
            safetensors::Dtype::U32 => Dtype::Uint32,
            safetensors::Dtype::U8 => Dtype::Uint8,
            safetensors::Dtype::F16 => Dtype::Float16,
            safetensors::Dtype::BF16 => Dtype::Bfloat16,
            safetensors::Dtype::F32 => Dtype::Float32,
            _ => continue,
        };
        let data = tensor.data();
        let start = data.as_ptr().addr() - base;
        let range = start..start + data.len();
        if start % alignment(dtype) != 0 || range.end.div_ceil(4) * 4 > whole {
            want += data.len();
        }
        let part = Bytes::new(Arc::clone(&owner), range);
        let array = uploads.array(&[&part], tensor.shape(), dtype).unwrap();
        assert_eq!(bytes_of(&array), data);
    }
    want
}

/// A mapping is read-only memory: an operation that wrote its result there would
/// end this process. Views are given away wherever MLX might take them.
#[test]
fn nothing_is_written_into_a_mapping() {
    let owner = region(rustix::param::page_size());
    let before = (*owner).as_ref().to_vec();
    let words = before.len() / 4;
    let data = (*owner).as_ref().as_ptr();
    // SAFETY: the region has so many words, begins on a page and never changes.
    let (file, _) = unsafe { raw::over(data.cast(), words, Arc::clone(&owner)) }.unwrap();
    let uploads = Uploads::default();
    let part = Bytes::new(Arc::clone(&owner), 0..before.len());
    let resident = uploads.array(&[&part], &[words], Dtype::Float32).unwrap();
    for _ in 0..3 {
        let view = raw::slice(&file, &[0], &[words]).unwrap();
        let view = view.view_dtype(Dtype::Float32).unwrap();
        // In place, if the input were nobody else's.
        let sum = view.add(&*resident).unwrap().add(&*resident).unwrap();
        let part = Array::from_slice(&[1.0f32], &[1]);
        let written = raw::slice_update(&resident, &part, &[1]).unwrap();
        sum.eval().unwrap();
        written.eval().unwrap();
    }
    assert_eq!(bytes_of(&resident), before);
    assert_eq!(bytes_of(&file), before);
    assert_eq!((*owner).as_ref(), before);
}
