// Packs and unpacks rows of codes, one byte each, in the layout of SPEC 4 and 5. A unit of 64 codes is four vectors, quarter k
// with the codes 16k to 16k + 15, so that every plane is masks and shifts of whole vectors.

import { Bits1, Bits2, Bits3, Bits4, Bits5, Bits6, Bits7, Bits8 } from './bits';
import { moveBit, nibblesHigh, nibblesLow, pairs, quarterCodes, singles } from './codes';

/** The bits `mask << from` of every code, moved so that the lowest of them comes to `to`. */
@inline
function field(codes: v128, mask: i32, from: i32, to: i32): v128 {
  return moveBit(v128.and(codes, i8x16.splat(<i8>(mask << from))), from, to);
}

@inline
function packUnit<B>(codes: usize, unit: usize): void {
  const a = v128.load(codes);
  const b = v128.load(codes, 16);
  const c = v128.load(codes, 32);
  const d = v128.load(codes, 48);
  if (offsetof<B>() == 8) {
    v128.store(unit, a);
    v128.store(unit, b, 16);
    v128.store(unit, c, 32);
    v128.store(unit, d, 48);
    return;
  }
  if (offsetof<B>() & 4) {
    v128.store(unit, v128.or(field(a, 15, 0, 0), field(c, 15, 0, 4)));
    v128.store(unit, v128.or(field(b, 15, 0, 0), field(d, 15, 0, 4)), 16);
  }
  if (offsetof<B>() & 2) {
    const from = <i32>(offsetof<B>() & 4);
    const low = v128.or(field(a, 3, from, 0), field(b, 3, from, 2));
    const high = v128.or(field(c, 3, from, 4), field(d, 3, from, 6));
    v128.store(unit + 8 * (offsetof<B>() & 4), v128.or(low, high));
  }
  if (offsetof<B>() & 1) {
    const from = <i32>(offsetof<B>() & 6);
    const low = v128.or(field(a, 1, from, 0), field(b, 1, from, 2));
    const high = v128.or(field(c, 1, from, 4), field(d, 1, from, 6));
    // The bits are even ones, so that the upper eight codes of every quarter fit between those of the lower eight.
    const bits = v128.or(low, high);
    store<u64>(unit + 8 * (offsetof<B>() & 6), i64x2.extract_lane(bits, 0) | (i64x2.extract_lane(bits, 1) << 1));
  }
}

@inline
function unpackUnit<B>(unit: usize, codes: usize): void {
  const low = nibblesLow<B>(unit);
  const high = nibblesHigh<B>(unit);
  const two = pairs<B>(unit);
  const one = singles<B>(unit);
  v128.store(codes, quarterCodes<B>(unit, 0, low, high, two, one));
  v128.store(codes, quarterCodes<B>(unit, 1, low, high, two, one), 16);
  v128.store(codes, quarterCodes<B>(unit, 2, low, high, two, one), 32);
  v128.store(codes, quarterCodes<B>(unit, 3, low, high, two, one), 48);
}

function packAll<B>(codes: usize, rows: u32, columns: u32, packed: usize, scratch: usize): void {
  const rest = columns & 63;
  for (let row: u32 = 0; row < rows; row++) {
    for (const end = codes + columns - rest; codes < end; codes += 64, packed += 8 * offsetof<B>()) {
      packUnit<B>(codes, packed);
    }
    if (rest) {
      memory.fill(scratch, 0, 64);
      memory.copy(scratch, codes, rest);
      packUnit<B>(scratch, packed);
      codes += rest;
      packed += 8 * offsetof<B>();
    }
  }
}

function unpackAll<B>(packed: usize, rows: u32, columns: u32, codes: usize, scratch: usize): void {
  const rest = columns & 63;
  for (let row: u32 = 0; row < rows; row++) {
    for (const end = codes + columns - rest; codes < end; codes += 64, packed += 8 * offsetof<B>()) {
      unpackUnit<B>(packed, codes);
    }
    if (rest) {
      unpackUnit<B>(packed, scratch);
      memory.copy(codes, scratch, rest);
      codes += rest;
      packed += 8 * offsetof<B>();
    }
  }
}

/** Packs codes [rows, columns] of `bits` bits; higher bits of a byte are dropped. `scratch` holds 64 bytes. */
export function packRows(codes: usize, rows: u32, columns: u32, bits: u32, packed: usize, scratch: usize): void {
  if (bits == 1) packAll<Bits1>(codes, rows, columns, packed, scratch);
  else if (bits == 2) packAll<Bits2>(codes, rows, columns, packed, scratch);
  else if (bits == 3) packAll<Bits3>(codes, rows, columns, packed, scratch);
  else if (bits == 4) packAll<Bits4>(codes, rows, columns, packed, scratch);
  else if (bits == 5) packAll<Bits5>(codes, rows, columns, packed, scratch);
  else if (bits == 6) packAll<Bits6>(codes, rows, columns, packed, scratch);
  else if (bits == 7) packAll<Bits7>(codes, rows, columns, packed, scratch);
  else packAll<Bits8>(codes, rows, columns, packed, scratch);
}

/** Reverses `packRows`. */
export function unpackRows(packed: usize, rows: u32, columns: u32, bits: u32, codes: usize, scratch: usize): void {
  if (bits == 1) unpackAll<Bits1>(packed, rows, columns, codes, scratch);
  else if (bits == 2) unpackAll<Bits2>(packed, rows, columns, codes, scratch);
  else if (bits == 3) unpackAll<Bits3>(packed, rows, columns, codes, scratch);
  else if (bits == 4) unpackAll<Bits4>(packed, rows, columns, codes, scratch);
  else if (bits == 5) unpackAll<Bits5>(packed, rows, columns, codes, scratch);
  else if (bits == 6) unpackAll<Bits6>(packed, rows, columns, codes, scratch);
  else if (bits == 7) unpackAll<Bits7>(packed, rows, columns, codes, scratch);
  else unpackAll<Bits8>(packed, rows, columns, codes, scratch);
}

// Shared codes are a stream of bits, lowest first: eight codes of s bits are s bytes. Neighbours move together in three steps, in which
// every second lane of 8, 16 and 32 bits comes down to its neighbour; unpacking goes the same way back.

/** `mask` in every lane of `width` bits. */
@inline
function everyLane(mask: u64, width: u64): u64 {
  const half = mask | (mask << 32);
  if (width == 32) return half;
  const quarter = half | (half << 16);
  return width == 16 ? quarter : quarter | (quarter << 8);
}

@inline
function gather(codes: u64, s: u64): u64 {
  let x = codes & everyLane((<u64>1 << s) - 1, 8);
  x = (x | (x >> (8 - s))) & everyLane((<u64>1 << (2 * s)) - 1, 16);
  x = (x | (x >> (16 - 2 * s))) & everyLane((<u64>1 << (4 * s)) - 1, 32);
  return (x | (x >> (32 - 4 * s))) & ((<u64>1 << (8 * s)) - 1);
}

@inline
function spread(bits: u64, s: u64): u64 {
  let x = (bits | (bits << (32 - 4 * s))) & everyLane((<u64>1 << (4 * s)) - 1, 32);
  x = (x | (x << (16 - 2 * s))) & everyLane((<u64>1 << (2 * s)) - 1, 16);
  return (x | (x << (8 - s))) & everyLane((<u64>1 << s) - 1, 8);
}

/** Packs shared codes [rows, blocks] of `bits` bits (1 to 4) into whole bytes a row. */
export function packSharedRows(codes: usize, rows: u32, blocks: u32, bits: u32, packed: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    for (let left = <i32>blocks; left > 0; left -= 8) {
      const count = <u32>min(left, 8);
      let x: u64 = 0;
      if (count == 8) x = load<u64>(codes);
      else for (let i: u32 = 0; i < count; i++) x |= <u64>load<u8>(codes + i) << (8 * i);
      codes += count;
      x = gather(x, bits);
      for (let bytes = (count * bits + 7) >> 3; bytes > 0; bytes--, x >>= 8) store<u8>(packed++, <u8>x);
    }
  }
}

/** Reverses `packSharedRows`. */
export function unpackSharedRows(packed: usize, rows: u32, blocks: u32, bits: u32, codes: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    for (let left = <i32>blocks; left > 0; left -= 8) {
      const count = <u32>min(left, 8);
      const bytes = (count * bits + 7) >> 3;
      let x: u64 = 0;
      for (let i: u32 = 0; i < bytes; i++) x |= <u64>load<u8>(packed++) << (8 * i);
      x = spread(x, bits);
      if (count == 8) store<u64>(codes, x);
      else for (let i: u32 = 0; i < count; i++, x >>= 8) store<u8>(codes + i, <u8>x);
      codes += count;
    }
  }
}
