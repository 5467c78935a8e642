//! The contents of a disk: sparse, cheap to copy, and told apart by a number.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};

pub const BLOCK: usize = 4096;

type Block = [u8; BLOCK];

const ZEROS: Block = [0; BLOCK];

/// Blocks that are not there read as zeros; none is kept that is all zeros.
#[derive(Clone, Debug, Default)]
pub struct Image {
    blocks: BTreeMap<u64, Arc<Block>>,
    identity: u64,
}

impl Image {
    /// Equal contents have equal identities.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    pub fn read(&self, offset: u64, buffer: &mut [u8]) {
        let mut at = offset;
        for part in pieces(offset, buffer.len()) {
            let target = &mut buffer[part.clone()];
            let from = (at % BLOCK as u64) as usize;
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => target.copy_from_slice(&block[from..from + target.len()]),
                None => target.fill(0),
            }
            at += target.len() as u64;
        }
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let mut at = offset;
        for part in pieces(offset, data.len()) {
            let source = &data[part];
            let index = at / BLOCK as u64;
            let from = (at % BLOCK as u64) as usize;
            let old = self.blocks.get(&index);
            let mut block = old.map_or(ZEROS, |block| **block);
            self.identity = self.identity.wrapping_sub(contribution(index, &block));
            block[from..from + source.len()].copy_from_slice(source);
            self.identity = self.identity.wrapping_add(contribution(index, &block));
            if block == ZEROS {
                self.blocks.remove(&index);
            } else {
                self.blocks.insert(index, Arc::new(block));
            }
            at += source.len() as u64;
        }
    }

    /// Where a block with these contents lies.
    pub fn find(&self, contents: &[u8]) -> Option<u64> {
        self.blocks.iter().find(|(_, block)| block[..] == *contents).map(|(index, _)| index * BLOCK as u64)
    }

    /// Makes `file`, of `len` bytes, hold this and nothing else.
    pub fn store(&self, file: &File, len: u64) -> io::Result<()> {
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(file, punch, 0, len as i64)?;
        let mut run = Vec::new();
        let mut begin = 0;
        for (index, block) in &self.blocks {
            let end = begin + (run.len() / BLOCK) as u64;
            if *index != end || run.len() >= 1 << 20 {
                file.write_all_at(&run, begin * BLOCK as u64)?;
                run.clear();
                begin = *index;
            }
            run.extend_from_slice(&block[..]);
        }
        file.write_all_at(&run, begin * BLOCK as u64)
    }

    /// What `file` holds.
    pub fn load(file: &File) -> io::Result<Self> {
        let mut image = Self::default();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = file.read_at(&mut buffer, at)?;
            if read == 0 {
                return Ok(image);
            }
            image.write(at, &buffer[..read]);
            at += read as u64;
        }
    }
}

/// The parts of `len` bytes from `offset` on that lie in one block each.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = at;
        let room = BLOCK - ((offset + from as u64) % BLOCK as u64) as usize;
        at = len.min(from + room);
        (from < len).then_some(from..at)
    })
}

/// A block's part in the identity; zeros have none, so that it does not matter how they came about.
fn contribution(index: u64, block: &Block) -> u64 {
    if *block == ZEROS {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(index);
    hasher.write(block);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_across_blocks() {
        let mut image = Image::default();
        let data: Vec<u8> = (0..10_000_u32).map(|n| n as u8 | 1).collect();
        image.write(3_584, &data);
        let mut back = vec![0xff; 12_000];
        image.read(3_000, &mut back);
        assert_eq!(back[..584], [0; 584]);
        assert_eq!(back[584..10_584], data[..]);
        assert_eq!(back[10_584..], [0; 1_416]);
    }

    #[test]
    fn the_identity_follows_the_contents_and_not_the_way_there() {
        let (mut one, mut other) = (Image::default(), Image::default());
        one.write(512, &[1; 8192]);
        other.write(4096, &[1; 4608]);
        other.write(512, &[2; 3584]);
        assert_ne!(one.identity(), other.identity());
        other.write(512, &[1; 3584]);
        assert_eq!(one.identity(), other.identity());
        one.write(0, &[0; 16384]);
        assert_eq!(one.identity(), Image::default().identity());
    }
}
