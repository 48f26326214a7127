import { QuantizedHeader } from './quantized-header';

/**
 * target [columns, paddedTokens] = source [tokens, columns] transposed; tokens past the end are 0. Writes the columns from
 * `firstColumn` up to `endColumn`.
 */
export function transposeTokens(
  source: usize,
  tokens: u32,
  columns: u32,
  paddedTokens: u32,
  target: usize,
  firstColumn: u32,
  endColumn: u32,
): void {
  target += 4 * firstColumn * paddedTokens;
  for (let column = firstColumn; column < endColumn; column++) {
    for (let token: u32 = 0; token < tokens; token++) {
      store<f32>(target + 4 * token, load<f32>(source + 4 * (token * columns + column)));
    }
    memory.fill(target + 4 * tokens, 0, 4 * (paddedTokens - tokens));
    target += 4 * paddedTokens;
  }
}

/** Adds the salient weights' part to some rows of output [tokens, rows], for a few tokens: input is [tokens, columns]. */
export function addSalientRows(m: QuantizedHeader, input: usize, output: usize, tokens: u32, firstRow: u32, endRow: u32): void {
  let i = load<u32>(m.salientOffsets + 4 * firstRow);
  for (let row = firstRow; row < endRow; row++) {
    const start = i;
    const end = load<u32>(m.salientOffsets + 4 * row, 4);
    for (let token: u32 = 0; token < tokens; token++) {
      const x = input + 4 * token * m.columns;
      let sum: f32 = 0;
      for (i = start; i < end; i++) {
        sum += load<f32>(m.salientValues + 4 * i) * load<f32>(x + 4 * load<u32>(m.salientColumns + 4 * i));
      }
      const place = output + 4 * (token * m.rows + row);
      store<f32>(place, load<f32>(place) + sum);
    }
    i = end;
  }
}

/**
 * The same for many tokens: `transposed` [columns, paddedTokens], a multiple of 16, holds 16 tokens of a column side by side.
 * `scratch` holds 16 floats.
 */
function addSalientColumns(
  m: QuantizedHeader,
  transposed: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
  scratch: usize,
): void {
  const paddedTokens = (tokens + 15) & ~15;
  for (let row = firstRow; row < endRow; row++) {
    const start = load<u32>(m.salientOffsets + 4 * row);
    const end = load<u32>(m.salientOffsets + 4 * row, 4);
    if (start == end) continue;
    for (let token: u32 = 0; token < tokens; token += 16) {
      let s0: v128 = f32x4.splat(0);
      let s1: v128 = f32x4.splat(0);
      let s2: v128 = f32x4.splat(0);
      let s3: v128 = f32x4.splat(0);
      for (let i = start; i < end; i++) {
        const value = v128.load32_splat(m.salientValues + 4 * i);
        const x = transposed + 4 * (load<u32>(m.salientColumns + 4 * i) * paddedTokens + token);
        s0 = f32x4.add(s0, f32x4.mul(value, v128.load(x)));
        s1 = f32x4.add(s1, f32x4.mul(value, v128.load(x, 16)));
        s2 = f32x4.add(s2, f32x4.mul(value, v128.load(x, 32)));
        s3 = f32x4.add(s3, f32x4.mul(value, v128.load(x, 48)));
      }
      v128.store(scratch, s0);
      v128.store(scratch, s1, 16);
      v128.store(scratch, s2, 32);
      v128.store(scratch, s3, 48);
      const count = min<u32>(16, tokens - token);
      for (let k: u32 = 0; k < count; k++) {
        const place = output + 4 * ((token + k) * m.rows + row);
        store<f32>(place, load<f32>(place) + load<f32>(scratch + 4 * k));
      }
    }
  }
}

/** Adds the salient weights' part, if there is one: by `transposed` (see `addSalientColumns`), or by `input` where that is 0. */
export function addSalient(
  m: QuantizedHeader,
  input: usize,
  transposed: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
  scratch: usize,
): void {
  if (!m.salientOffsets) return;
  if (transposed) addSalientColumns(m, transposed, output, tokens, firstRow, endRow, scratch);
  else addSalientRows(m, input, output, tokens, firstRow, endRow);
}
