//! Encoders and decoders against vectors made by jang's and MLX's own tensor
//! encoders (`tests/golden/README.md`). Bytes are compared, not values.

use std::path::Path;

use cairn::quant::{
    AFFINE_BITS, AFFINE_GROUPS, Bytes, Format, MXTQ_BITS, Matrix, MxtqTables, encode_affine,
    encode_mxtq, signs,
};
use half::{bf16, f16};
use safetensors::SafeTensors;

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

struct Golden<'a>(SafeTensors<'a>);

impl Golden<'_> {
    fn bytes(&self, name: &str) -> &[u8] {
        self.0.tensor(name).expect(name).data()
    }

    fn shape(&self, name: &str) -> Vec<usize> {
        self.0.tensor(name).expect(name).shape().to_vec()
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        let (words, _) = self.bytes(name).as_chunks::<4>();
        words.iter().map(|w| f32::from_le_bytes(*w)).collect()
    }

    /// Weights are stored as bf16 bits.
    fn weights(&self, name: &str) -> (Vec<f32>, usize, usize) {
        let shape = self.shape(name);
        let (halves, _) = self.bytes(name).as_chunks::<2>();
        let values = halves
            .iter()
            .map(|h| bf16::from_le_bytes(*h).to_f32())
            .collect();
        (values, shape[0], shape[1])
    }
}

fn bits_of(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn decoded(matrix: &Matrix) -> Vec<f32> {
    matrix.validate().expect("valid");
    let mut out = vec![0.0; matrix.rows * matrix.cols];
    for (row, out) in out.chunks_exact_mut(matrix.cols).enumerate() {
        matrix.decode_row_original(row, out);
    }
    out
}

fn le_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn le_halves(halves: &[f16]) -> Vec<u8> {
    halves.iter().flat_map(|h| h.to_le_bytes()).collect()
}

#[test]
fn codebooks_and_signs() {
    let file = read("tables.safetensors");
    let golden = Golden(SafeTensors::deserialize(&file).unwrap());
    let mut seen = 0;
    for name in golden.0.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let (n, last): (usize, u64) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        let ours = match parts[0] {
            "codebook" => MxtqTables::new(n, last as u32, 42).codebook.clone(),
            _ => signs(n, last),
        };
        assert_eq!(bits_of(&ours), bits_of(&golden.f32s(name)), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 13 * 5 + 3);
}

#[test]
fn mxtq_bytes() {
    let file = read("mxtq.safetensors");
    let golden = Golden(SafeTensors::deserialize(&file).unwrap());
    for n in [7, 64, 128, 256, 320, 1280, 2048, 4096] {
        let (weights, rows, cols) = golden.weights(&format!("{n}.weights"));
        assert_eq!(cols, n);
        for bits in MXTQ_BITS {
            let ours = encode_mxtq(&weights, rows, cols, bits, 42);
            let key = format!("{n}.{bits}");
            assert!(
                le_words(&ours.words) == golden.bytes(&format!("{key}.packed")),
                "codes of {key}"
            );
            assert!(
                le_halves(&ours.norms) == golden.bytes(&format!("{key}.norms")),
                "norms of {key}"
            );
            if n == 320 {
                let theirs = golden.f32s(&format!("{key}.decoded"));
                assert_eq!(
                    bits_of(&decoded(&ours.into_matrix())),
                    bits_of(&theirs),
                    "decoded {key}"
                );
            }
        }
    }
}

#[test]
fn affine_bytes() {
    let file = read("affine.safetensors");
    let golden = Golden(SafeTensors::deserialize(&file).unwrap());
    let (weights, rows, cols) = golden.weights("weights");
    for bits in AFFINE_BITS {
        for group in AFFINE_GROUPS {
            let ours = encode_affine(&weights, rows, cols, bits, group);
            let key = format!("{bits}.{group}");
            assert!(
                le_words(&ours.words) == golden.bytes(&format!("{key}.weight")),
                "codes of {key}"
            );
            assert!(
                le_halves(&ours.scales) == golden.bytes(&format!("{key}.scales")),
                "scales of {key}"
            );
            assert!(
                le_halves(&ours.biases) == golden.bytes(&format!("{key}.biases")),
                "biases of {key}"
            );
            if group == 64 {
                let theirs = golden.f32s(&format!("{key}.decoded"));
                assert_eq!(decoded(&ours.into_matrix()), theirs, "decoded {key}");
            }
        }
    }
}

#[test]
fn mxfp4_values() {
    let file = read("mxfp4.safetensors");
    let golden = Golden(SafeTensors::deserialize(&file).unwrap());
    for prefix in ["", "all."] {
        let shape = golden.shape(&format!("{prefix}decoded"));
        // One byte ahead of the codes: a mapped file aligns nothing.
        let mut data = vec![0xff];
        data.extend(golden.bytes(&format!("{prefix}weight")));
        let end = data.len();
        let matrix = Matrix {
            rows: shape[0],
            cols: shape[1],
            data: Bytes::from_vec(data).slice(1..end),
            format: Format::Mxfp4 {
                scales: Bytes::from_vec(golden.bytes(&format!("{prefix}scales")).to_vec()),
            },
        };
        assert_eq!(
            decoded(&matrix),
            golden.f32s(&format!("{prefix}decoded")),
            "{prefix}"
        );
    }
}
