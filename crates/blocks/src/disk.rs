//! A disk of our own: one file of a FUSE file system, which a loop device makes a block device of. A write is a
//! write of the block layer, an fsync is a FLUSH. Everything is recorded, in the order in which it was completed,
//! and can be made to fail.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, SessionACL, WriteFlags,
};

use crate::image::Image;
use crate::mark::Mark;
use crate::system::lock;

/// What the disk went through.
#[derive(Clone, Debug)]
pub enum Event {
    Write { offset: u64, data: Arc<[u8]> },
    Flush,
    Mark(Mark),
}

/// Which calls fail.
#[derive(Clone, Debug, Default)]
pub enum Fault {
    #[default]
    None,
    /// The call of this number, from 1.
    Once(u64),
    /// That and all later ones.
    From(u64),
}

impl Fault {
    fn hits(&self, call: u64) -> bool {
        match *self {
            Self::None => false,
            Self::Once(nth) => call == nth,
            Self::From(nth) => call >= nth,
        }
    }
}

/// The faults that are in force, and how often there was occasion for one since they were set.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub writes: Fault,
    /// Only writes that touch these count and fail; empty: all.
    pub writes_within: Vec<Range<u64>>,
    pub flushes: Fault,
    /// A FLUSH that fails takes with it what was written since the last one: the disk's cache is lost.
    pub flush_loses_cache: bool,
    /// Reads that touch these bytes fail.
    pub reads_within: Option<Range<u64>>,
    pub writes_seen: u64,
    pub flushes_seen: u64,
    /// How many calls failed.
    pub hits: u64,
}

#[derive(Debug, Default)]
struct State {
    len: u64,
    /// Writes from here on are marks.
    marks_from: u64,
    image: Image,
    /// As of the last FLUSH.
    durable: Image,
    unflushed: Vec<(u64, Arc<[u8]>)>,
    recording: bool,
    events: Vec<Event>,
    marks: u64,
    faults: Faults,
}

fn touches(ranges: &[Range<u64>], offset: u64, len: u64) -> bool {
    ranges.iter().any(|range| range.start < offset + len && offset < range.end)
}

impl State {
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        if offset >= self.marks_from {
            if let Some(mark) = Mark::decode(data) {
                self.marks += 1;
                if self.recording {
                    self.events.push(Event::Mark(mark));
                }
            }
            return Ok(());
        }
        let faults = &mut self.faults;
        if faults.writes_within.is_empty() || touches(&faults.writes_within, offset, data.len() as u64) {
            faults.writes_seen += 1;
            if faults.writes.hits(faults.writes_seen) {
                faults.hits += 1;
                return Err(Errno::EIO);
            }
        }
        self.image.write(offset, data);
        let data: Arc<[u8]> = data.into();
        self.unflushed.push((offset, Arc::clone(&data)));
        if self.recording {
            self.events.push(Event::Write { offset, data });
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Errno> {
        let faults = &mut self.faults;
        faults.flushes_seen += 1;
        if faults.flushes.hits(faults.flushes_seen) {
            faults.hits += 1;
            if faults.flush_loses_cache {
                self.image = self.durable.clone();
                self.unflushed.clear();
            }
            return Err(Errno::EIO);
        }
        for (offset, data) in self.unflushed.drain(..) {
            self.durable.write(offset, &data);
        }
        if self.recording {
            self.events.push(Event::Flush);
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        if touches(self.faults.reads_within.as_slice(), offset, len as u64) {
            self.faults.hits += 1;
            return Err(Errno::EIO);
        }
        let mut buffer = vec![0; len.min(self.len.saturating_sub(offset) as usize)];
        self.image.read(offset, &mut buffer);
        Ok(buffer)
    }
}

/// The running disk. It goes when this is dropped.
#[derive(Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
    file: PathBuf,
}

impl Disk {
    /// Serves `image`, `len` bytes of which the last from `marks_from` on are for marks, as the file `name` in the
    /// empty directory `point`.
    pub fn serve(point: &Path, name: &str, image: Image, len: u64, marks_from: u64) -> io::Result<Self> {
        let durable = image.clone();
        let state = State { len, marks_from, image, durable, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("tidelog-blocks".to_owned()), MountOption::RW];
        config.acl = SessionACL::All;
        let server = Server { state: Arc::clone(&state), name: name.to_owned(), len };
        let session = fuser::spawn_mount(server, point, &config)?;
        Ok(Self { state, session: Some(session), file: point.join(name) })
    }

    /// The file to attach a loop device to.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Records from now on.
    pub fn record(&self) {
        let mut state = self.state();
        state.events.clear();
        state.recording = true;
    }

    /// How much was recorded.
    pub fn recorded(&self) -> usize {
        self.state().events.len()
    }

    pub fn take_events(&self) -> Vec<Event> {
        let mut state = self.state();
        state.recording = false;
        std::mem::take(&mut state.events)
    }

    /// How many marks were set so far.
    pub fn marks(&self) -> u64 {
        self.state().marks
    }

    /// Everything that was written, flushed or not.
    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// What a power cut at this moment leaves of a disk that loses all that was not flushed.
    pub fn durable_image(&self) -> Image {
        self.state().durable.clone()
    }

    /// Puts faults into force; their counting begins anew.
    pub fn inject(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Ends all faults. Returns them with what they counted.
    pub fn heal(&self) -> Faults {
        std::mem::take(&mut self.state().faults)
    }

    pub fn faults(&self) -> Faults {
        self.state().faults.clone()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("cannot unmount the disk: {error}");
        }
    }
}

const DIRECTORY: u64 = 1;
const FILE: u64 = 2;
const TTL: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Server {
    state: Arc<Mutex<State>>,
    name: String,
    len: u64,
}

impl Server {
    fn attributes(&self, node: u64) -> FileAttr {
        let directory = node == DIRECTORY;
        FileAttr {
            ino: INodeNo(node),
            size: if directory { 0 } else { self.len },
            blocks: if directory { 0 } else { self.len / 512 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if directory { FileType::Directory } else { FileType::RegularFile },
            perm: if directory { 0o755 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == OsStr::new(&self.name) {
            reply.entry(&TTL, &self.attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(node.0));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Past the page cache, so that reads come here too.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if offset == 0 {
            let _ = reply.add(INodeNo(FILE), 1, FileType::RegularFile, &self.name);
        }
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.state).read(offset, size as usize) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match lock(&self.state).write(offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match lock(&self.state).flush() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // The closing of a descriptor: nothing to do with the disk's FLUSH.
        reply.ok();
    }

    fn fallocate(&self, _: &Request, _: INodeNo, _: FileHandle, _: u64, _: u64, _: i32, reply: ReplyEmpty) {
        // No discards: zeros are written.
        reply.error(Errno::EOPNOTSUPP);
    }
}
