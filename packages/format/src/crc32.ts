/** The reversed polynomial of CRC-32 as zlib, PNG and Ethernet use it. */
const polynomial = 0xedb88320;

/** Bytes of one step of the loop. */
const stride = 16;

/**
 * Table k, at 256 k, holds what a byte does to the remainder k bytes further on. So 16 bytes are looked up at once
 * ("slicing", Kounavis and Berry 2005), which is several times as fast as one by one.
 */
const tables = buildTables();

function buildTables(): Int32Array {
  const built = new Int32Array(256 * stride);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? polynomial : 0);
    built[byte] = remainder;
  }
  for (let i = 256; i < built.length; i++) {
    const before = built[i - 256]!;
    built[i] = (before >>> 8) ^ built[before & 255]!;
  }
  return built;
}

/**
 * CRC-32 of `bytes`, from 0 to 2^32 - 1. `previous` is the CRC of the bytes before, so that a long stream can be
 * taken in pieces. The same as `zlib.crc32` of Python and Node (ISO 3309, check value cbf43926).
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  const t = tables;
  let c = ~previous;
  let i = 0;
  for (const end = bytes.length - (stride - 1); i < end; i += stride) {
    const first = c ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    c =
      t[3840 + (first & 255)]! ^
      t[3584 + ((first >>> 8) & 255)]! ^
      t[3328 + ((first >>> 16) & 255)]! ^
      t[3072 + (first >>> 24)]! ^
      t[2816 + bytes[i + 4]!]! ^
      t[2560 + bytes[i + 5]!]! ^
      t[2304 + bytes[i + 6]!]! ^
      t[2048 + bytes[i + 7]!]! ^
      t[1792 + bytes[i + 8]!]! ^
      t[1536 + bytes[i + 9]!]! ^
      t[1280 + bytes[i + 10]!]! ^
      t[1024 + bytes[i + 11]!]! ^
      t[768 + bytes[i + 12]!]! ^
      t[512 + bytes[i + 13]!]! ^
      t[256 + bytes[i + 14]!]! ^
      t[bytes[i + 15]!]!;
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ t[(c ^ bytes[i]!) & 255]!;
  return ~c >>> 0;
}
