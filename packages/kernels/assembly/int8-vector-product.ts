import { prepareRecords } from './prepared-vector';
import { QuantizedHeader } from './quantized-header';
import { multiplyVectorBy } from './vector-product';

/** `prepareVector` for codes from -127 to 127, which become bytes. */
export function prepareVectorInt8(
  codes: usize,
  scales: usize,
  units: u32,
  factor: i32,
  privateBits: u32,
  sharedBits: u32,
  target: usize,
): void {
  prepareRecords<i8>(codes, scales, units, factor, privateBits, sharedBits, target);
}

/** `multiplyVector` for these, the decoders up to `codebookPairs`, and levels of at most 127; the private codes of linear ones count. */
export function multiplyVectorInt8(header: usize, input: usize, x: usize, output: usize, firstRow: u32, endRow: u32): void {
  multiplyVectorBy<i8>(changetype<QuantizedHeader>(header), input, x, output, firstRow, endRow);
}
