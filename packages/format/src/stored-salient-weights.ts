import { InvalidArgumentError } from './errors.js';
import type { PartReader } from './part-reader.js';
import type { SalientWeights } from './quantized-matrix.js';
import type { SafetensorsDtype } from './safetensors-dtype.js';
import { decodeSalientPositions, encodeSalientPositions } from './salient-positions.js';
import { decodeSalientScales, encodeSalientScales } from './salient-scales.js';
import { storedSuffixes } from './stored-tensor.js';

/** A tensor of a module, before the module's name. */
type Part = readonly [suffix: string, dtype: SafetensorsDtype, shape: number[], bytes: Uint8Array];

/** The tensors of a matrix's salient weights (SPEC 7); none where there are none. */
export function storeSalientWeights(salient: SalientWeights, rows: number, columns: number): Part[] {
  const { counts, residuals } = salient;
  const total = salient.columns.length;
  if (residuals.length !== total || salient.scales.length !== rows) {
    throw new InvalidArgumentError(
      `${total} salient weights in ${rows} rows have ${residuals.length} residuals and ${salient.scales.length} scales`,
    );
  }
  const gaps = encodeSalientPositions(salient, rows, columns);
  if (total === 0) return [];
  const { codes, base } = encodeSalientScales(salient.scales.filter((_, r) => counts[r]! > 0));
  const residualBytes = new Uint8Array(residuals.buffer, residuals.byteOffset, residuals.byteLength);
  return [
    [storedSuffixes.salientGaps, 'U8', [gaps.length], gaps],
    [storedSuffixes.salientResiduals, 'I8', [total], residualBytes],
    [storedSuffixes.salientScales, 'U8', [codes.length], codes],
    [storedSuffixes.salientScaleBase, 'F16', [1], Uint8Array.of(base, base >>> 8)],
  ];
}

/** Reverses `storeSalientWeights`; undefined where the module has none of the tensors. */
export async function loadSalientWeights(
  part: PartReader,
  rows: number,
  columns: number,
): Promise<SalientWeights | undefined> {
  const { salientGaps, salientResiduals, salientScales, salientScaleBase } = storedSuffixes;
  const residuals = await part.optionalList(salientResiduals, 'I8');
  if (!residuals) {
    for (const other of [salientGaps, salientScales, salientScaleBase])
      if (await part.find(other)) throw part.missing(salientResiduals);
    return undefined;
  }
  const total = residuals.length;
  if (total === 0) part.malformed(salientResiduals, 'the list of salient weights is empty');
  const gaps = await part.optionalList(salientGaps, 'U8');
  if (!gaps) throw part.missing(salientGaps);
  const positions = decodeSalientPositions(gaps, total, rows, columns, part.placeOf(salientGaps));
  const { counts } = positions;
  const filled = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  const codes = await part.required(salientScales, 'U8', [filled]);
  const base = await part.required(salientScaleBase, 'F16', [1]);
  const decoded = decodeSalientScales(
    { codes, base: base[0]! | (base[1]! << 8) },
    { codes: part.placeOf(salientScales), base: part.placeOf(salientScaleBase) },
  );
  let next = 0;
  const scales = Float32Array.from(counts, (count) => (count > 0 ? decoded[next++]! : 0));
  return { ...positions, residuals: new Int8Array(residuals.slice().buffer), scales };
}
