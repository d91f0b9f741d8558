//! From mapped files to arrays. Each file is given to MLX once, whole, and
//! tensors are views of it; what can't be a view is copied, and the bytes that
//! were copied are counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype};

use super::raw;
use super::tensor::{Resident, int};
use crate::quant::{Bytes, Memory, MxtqTables, Owner};

type Result<T> = std::result::Result<T, Exception>;

/// Bytes of weights by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Used in the mapped file.
    pub mapped: usize,
    /// Copied or converted into memory of MLX's.
    pub copied: usize,
}

#[derive(Default)]
pub struct Uploads(Mutex<State>);

#[derive(Default)]
struct State {
    placement: Placement,
    /// Whole files by the address of their owner.
    files: HashMap<usize, File>,
    tables: Vec<(Arc<MxtqTables>, Arc<Tables>)>,
}

/// A file that MLX has been given.
struct File {
    /// As long as this is here no other owner has its address. The array keeps the
    /// owner itself only if it shares its bytes.
    owner: Weak<dyn Memory>,
    /// `None` if MLX has none of it.
    array: Option<Array>,
}

/// MXTQ tables on the device.
pub struct Tables {
    /// `[cols]`
    pub signs: Resident,
    /// `[2^bits]`
    pub codebook: Resident,
}

impl Uploads {
    pub fn placement(&self) -> Placement {
        self.lock().placement
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of `parts`, one after the other, as an array. A view of the
    /// file if they lie there like that and aligned.
    ///
    /// # Errors
    /// If MLX can't take them.
    pub fn array(&self, parts: &[&Bytes], shape: &[usize], dtype: Dtype) -> Result<Resident> {
        let (array, copied) = self.placed(parts, shape, dtype)?;
        self.lock().placement.copied += copied;
        Resident::new(array)
    }

    /// The numbers of `parts` as f32, whatever they are stored as.
    ///
    /// # Errors
    /// If MLX can't take them.
    pub fn floats(&self, parts: &[&Bytes], shape: &[usize], stored: Dtype) -> Result<Resident> {
        if stored == Dtype::Float32 {
            return self.array(parts, shape, stored);
        }
        let (array, _) = self.placed(parts, shape, stored)?;
        let array = Resident::new(array.as_dtype(Dtype::Float32)?)?;
        self.lock().placement.copied += array.nbytes();
        Ok(array)
    }

    /// An array, and how many bytes it has that are not the file's.
    fn placed(&self, parts: &[&Bytes], shape: &[usize], dtype: Dtype) -> Result<(Array, usize)> {
        if let Some(view) = self.lock().view(parts, shape, dtype)? {
            return Ok((view, 0));
        }
        let bytes = parts
            .iter()
            .map(|part| &***part)
            .collect::<Vec<&[u8]>>()
            .concat();
        let array = reshaped(copied(&bytes)?, shape, dtype)?;
        Ok((array, bytes.len()))
    }

    /// # Errors
    /// If MLX can't take them.
    pub fn vector(&self, values: &[f32]) -> Result<Resident> {
        self.lock().placement.copied += size_of_val(values);
        Resident::new(Array::from_slice(values, &[int(values.len())]))
    }

    /// Tables are shared by all matrices of one width and code width.
    ///
    /// # Errors
    /// If MLX can't take them.
    pub fn tables(&self, tables: &Arc<MxtqTables>) -> Result<Arc<Tables>> {
        let known = |(host, _): &&(Arc<MxtqTables>, Arc<Tables>)| Arc::ptr_eq(host, tables);
        if let Some((_, device)) = self.lock().tables.iter().find(known) {
            return Ok(Arc::clone(device));
        }
        let device = Arc::new(Tables {
            signs: self.vector(&tables.signs)?,
            codebook: self.vector(&tables.codebook)?,
        });
        let entry = (Arc::clone(tables), Arc::clone(&device));
        self.lock().tables.push(entry);
        Ok(device)
    }
}

impl State {
    fn view(&mut self, parts: &[&Bytes], shape: &[usize], dtype: Dtype) -> Result<Option<Array>> {
        let Some((first, rest)) = parts.split_first() else {
            return Ok(None);
        };
        let (owner, range) = first.owner();
        let mut end = range.end;
        for part in rest {
            let (other, range) = part.owner();
            if !std::ptr::addr_eq(Arc::as_ptr(owner), Arc::as_ptr(other)) || range.start != end {
                return Ok(None);
            }
            end = range.end;
        }
        let Some(file) = self.file(owner) else {
            return Ok(None);
        };
        let last = end.div_ceil(4);
        if range.start % alignment(dtype) != 0 || last > file.size() {
            return Ok(None);
        }
        let words = raw::slice(&file, &[range.start / 4], &[last])?;
        reshaped(words, shape, dtype).map(Some)
    }

    /// The file as words, if MLX has it; it is given to MLX the first time.
    fn file(&mut self, owner: &Owner) -> Option<Array> {
        let address = Arc::as_ptr(owner).cast::<()>().addr();
        if let Some(file) = self.files.get(&address) {
            return file.array.clone();
        }
        // Nobody asks again for those whose owner is gone.
        self.files.retain(|_, file| file.owner.strong_count() > 0);
        let array = self.wrap(owner);
        let file = File {
            owner: Arc::downgrade(owner),
            array: array.clone(),
        };
        self.files.insert(address, file);
        array
    }

    /// Metal shares whole pages only, and MLX counts in `i32`.
    fn wrap(&mut self, owner: &Owner) -> Option<Array> {
        let bytes = (**owner).as_ref();
        let page = rustix::param::page_size();
        let words = bytes.len() / page * page / 4;
        if bytes.as_ptr().addr() % page != 0 || words == 0 || i32::try_from(words).is_err() {
            return None;
        }
        // SAFETY: the words lie within the owner's bytes, which begin on a page,
        // never change, and live as long as the owner that the array keeps.
        let wrapped = unsafe { raw::over(bytes.as_ptr().cast(), words, Arc::clone(owner)) };
        // Refused where a device's buffers can't be that large: then by tensors.
        let Ok((array, shared)) = wrapped else {
            return None;
        };
        match shared {
            true => self.placement.mapped += words * 4,
            false => self.placement.copied += words * 4,
        }
        Some(array)
    }
}

/// Bytes at whose multiples a view may begin. Our kernels read floats and halves by
/// fours, codes by words.
pub fn alignment(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Float32 => 16,
        Dtype::Float16 | Dtype::Bfloat16 => 8,
        _ => 4,
    }
}

/// Words as elements of a type: as many as the shape has.
fn reshaped(words: Array, shape: &[usize], dtype: Dtype) -> Result<Array> {
    let shape_ints: Vec<i32> = shape.iter().map(|&extent| int(extent)).collect();
    let elements = match dtype {
        Dtype::Uint32 => words,
        dtype => words.view_dtype(dtype)?,
    };
    raw::slice(&elements, &[0], &[shape.iter().product()])?.reshape(&shape_ints)
}

/// Bytes as words; the last is filled up with zeros.
fn copied(bytes: &[u8]) -> Result<Array> {
    let words: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect();
    match i32::try_from(words.len()) {
        Ok(count) => Ok(Array::from_slice(&words, &[count])),
        Err(_) => Err(Exception::custom("a weight has 8 GiB or more")),
    }
}
