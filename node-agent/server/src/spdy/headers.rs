//! Blocks of headers: names and values, compressed by zlib with a dictionary that both sides know.
//!
//! Blocks of one direction share their compression, so all of them have to be read, in order. Those that are written
//! here are stored as they are: they are few and short, and every inflater reads that.

use flate2::{Decompress, FlushDecompress, Status};

use super::SpdyError;

/// Words of the dictionary that stand in it with their length in front.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// The rest of the dictionary.
const PHRASES: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
    Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not \
    Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov \
    Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/\
    xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-\
    8859-1,utf-,*,enq=0.";

/// How long a block may be when it is unpacked. Runtimes send a few dozen bytes.
const MAX_BLOCK: usize = 16 << 10;

/// The longest piece that deflate stores as it is.
const MAX_STORED: usize = 0xffff;

/// The head of a zlib stream without a dictionary, at the lowest level.
const ZLIB_HEAD: [u8; 2] = [0x78, 0x01];

/// An empty stored block. Inflaters that keep what they have until a flush (Go's is one) would wait for more.
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// The dictionary of SPDY/3.
fn dictionary() -> Vec<u8> {
    let mut dictionary = Vec::new();
    for word in WORDS.split_whitespace() {
        // The one word that has a space in it.
        let word = word.replace('_', " ");
        dictionary.extend_from_slice(&length(word.len()));
        dictionary.extend_from_slice(word.as_bytes());
    }
    dictionary.extend_from_slice(PHRASES.as_bytes());
    dictionary
}

/// Reads the blocks of one direction. What they say is of no use here; they must only not be out of bounds.
pub(super) struct HeaderReader {
    inflater: Decompress,
}

impl HeaderReader {
    pub(super) fn new() -> Self {
        Self { inflater: Decompress::new(true) }
    }

    /// Unpacks a block.
    pub(super) fn unpack(&mut self, block: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut unpacked = Vec::with_capacity(MAX_BLOCK);
        let start = self.inflater.total_in();
        loop {
            let read = usize::try_from(self.inflater.total_in() - start).unwrap_or(usize::MAX);
            let rest = block.get(read..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(unpacked);
            }
            let before = (self.inflater.total_in(), unpacked.len());
            match self.inflater.decompress_vec(rest, &mut unpacked, FlushDecompress::Sync) {
                Ok(Status::Ok | Status::BufError) => {}
                // A direction's compression goes on as long as the connection.
                Ok(Status::StreamEnd) => return Err(SpdyError::Headers),
                Err(error) if error.needs_dictionary().is_some() => {
                    self.inflater.set_dictionary(&dictionary()).map_err(|_| SpdyError::Headers)?;
                    continue;
                }
                Err(_) => return Err(SpdyError::Headers),
            }
            let is_stuck = before == (self.inflater.total_in(), unpacked.len());
            if is_stuck || unpacked.len() == MAX_BLOCK {
                return Err(SpdyError::Headers);
            }
        }
    }
}

/// Writes the blocks of one direction.
#[derive(Debug, Default)]
pub(super) struct HeaderWriter {
    has_begun: bool,
}

impl HeaderWriter {
    /// Packs a block. Names are in lower case.
    pub(super) fn pack(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut plain = length(headers.len()).to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&length(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        let mut packed = Vec::with_capacity(plain.len() + 16);
        if !std::mem::replace(&mut self.has_begun, true) {
            packed.extend_from_slice(&ZLIB_HEAD);
        }
        for piece in plain.chunks(MAX_STORED) {
            let length =
                u16::try_from(piece.len()).expect("a piece is no longer than what is stored at once");
            packed.push(0);
            packed.extend_from_slice(&length.to_le_bytes());
            packed.extend_from_slice(&(!length).to_le_bytes());
            packed.extend_from_slice(piece);
        }
        packed.extend_from_slice(&FLUSH);
        packed
    }
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).expect("nothing that is sent is longer than four gigabytes").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn adler32(bytes: &[u8]) -> u32 {
        let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65_521;
            (a, (b + a) % 65_521)
        });
        b << 16 | a
    }

    #[test]
    fn the_dictionary_is_the_drafts() {
        assert_eq!((dictionary().len(), adler32(&dictionary())), (1423, 0xe3c6_a7c2));
    }

    /// Written by zlib itself, as servers do: no headers; then two, which refer to the dictionary.
    #[test]
    fn blocks_of_a_server_are_unpacked_in_order() {
        let mut reader = HeaderReader::new();
        let first = b"\x78\xf9\xe3\xc6\xa7\xc2\x02\xa6\x23\x06\x00\x00\x00\x00\xff\xff";
        assert_eq!(reader.unpack(first), Ok(vec![0; 4]));
        let second = b"\x02\xe5\x10\x70\x5a\x2b\x29\x4a\x4d\xcc\x85\x16\x27\xac\xa9\xa0\xc0\x46\x49\xbe\xcc\xc0\xe4\x0b\x00\x00\x00\xff\xff";
        let plain = b"\0\0\0\x02\0\0\0\x0astreamtype\0\0\0\x05error\0\0\0\x06status\0\0\0\x03200";
        assert_eq!(reader.unpack(second).unwrap(), plain);
    }

    #[test]
    fn blocks_that_are_written_can_be_read() {
        let (mut writer, mut reader) = (HeaderWriter::default(), HeaderReader::new());
        let first = writer.pack(&[("streamtype", "stdin")]);
        let block =
            b"\x78\x01\x00\x1b\x00\xe4\xff\0\0\0\x01\0\0\0\x0astreamtype\0\0\0\x05stdin\0\0\0\xff\xff";
        assert_eq!(first, block);
        assert_eq!(reader.unpack(&first).unwrap(), b"\0\0\0\x01\0\0\0\x0astreamtype\0\0\0\x05stdin");
        let second = writer.pack(&[]);
        assert_eq!(reader.unpack(&second).unwrap(), b"\0\0\0\0");
    }

    #[test]
    fn a_block_that_unpacks_to_too_much_is_refused() {
        let mut packed = ZLIB_HEAD.to_vec();
        for _ in 0..2 {
            packed.extend_from_slice(&[0, 0, 0x40, 0xff, 0xbf]);
            packed.extend_from_slice(&[0; 0x4000]);
        }
        assert_eq!(HeaderReader::new().unpack(&packed), Err(SpdyError::Headers));
    }

    proptest! {
        #[test]
        fn arbitrary_blocks_do_no_harm(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
            let mut reader = HeaderReader::new();
            for block in blocks {
                if let Ok(unpacked) = reader.unpack(&block) {
                    prop_assert!(unpacked.len() < MAX_BLOCK);
                }
            }
        }
    }
}
