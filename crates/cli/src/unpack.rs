//! What is in envelopes, where records are compressed.

use crate::args::Unpack;
use crate::exit::Fail;

/// What stands in for a record: its index where it was packed with others, and its payload.
pub(crate) type Inner<'a> = (Option<u32>, &'a [u8]);

#[cfg(feature = "compress")]
pub(crate) use self::with::Unpacker;
#[cfg(not(feature = "compress"))]
pub(crate) use self::without::Unpacker;

/// `None` where payloads are to be taken as they are.
pub(crate) fn unpacker(options: &Unpack) -> Result<Option<Unpacker>, Fail> {
    options.unpack.then(|| Unpacker::new(&options.dictionary)).transpose()
}

#[cfg(feature = "compress")]
mod with {
    use std::path::PathBuf;

    use tidelog::compress::{Compression, Contents, Dictionary, Packer};

    use super::Inner;
    use crate::exit::Fail;

    /// Opens envelopes, into a buffer that it uses again.
    #[derive(Debug)]
    pub(crate) struct Unpacker {
        packer: Packer,
        buffer: Vec<u8>,
    }

    impl Unpacker {
        pub(crate) fn new(dictionaries: &[PathBuf]) -> Result<Self, Fail> {
            let mut packer = Packer::new(Compression::None);
            for path in dictionaries {
                let bytes = std::fs::read(path)
                    .map_err(|error| Fail::io(format!("cannot read {}", path.display()), error))?;
                let dictionary = Dictionary::new(&bytes)
                    .map_err(|error| Fail::Usage(format!("{}: {error}", path.display())))?;
                packer = packer.known_dictionary(dictionary);
            }
            Ok(Self { packer, buffer: Vec::new() })
        }

        /// Shows what is in an envelope; why there is nothing to be seen.
        pub(crate) fn open(
            &mut self,
            envelope: &[u8],
            show: &mut dyn FnMut(Inner<'_>) -> Result<(), Fail>,
        ) -> Result<Result<(), String>, Fail> {
            match self.packer.unpack(envelope, &mut self.buffer) {
                Ok(Contents::One(payload)) => show((None, &payload))?,
                Ok(Contents::Batch(inner)) => {
                    for (index, payload) in (0..).zip(inner) {
                        show((Some(index), payload))?;
                    }
                }
                Err(error) => return Ok(Err(error.to_string())),
            }
            Ok(Ok(()))
        }
    }
}

#[cfg(not(feature = "compress"))]
mod without {
    use std::path::PathBuf;

    use super::Inner;
    use crate::exit::Fail;

    /// Never there.
    #[derive(Debug)]
    pub(crate) enum Unpacker {}

    impl Unpacker {
        pub(crate) fn new(_: &[PathBuf]) -> Result<Self, Fail> {
            Err(Fail::Usage(
                "this tool was built without its feature `compress`, and cannot unpack".to_owned(),
            ))
        }

        pub(crate) fn open(
            &mut self,
            _: &[u8],
            _: &mut dyn FnMut(Inner<'_>) -> Result<(), Fail>,
        ) -> Result<Result<(), String>, Fail> {
            match *self {}
        }
    }
}
