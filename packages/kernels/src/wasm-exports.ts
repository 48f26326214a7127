import { kernelsWasm } from './generated/kernels-wasm.js';

/** What assembly/index.ts exports. All arguments are 32-bit numbers; names of pointers say what they point to. */
export interface WasmExports {
  add(target: number, source: number, length: number): void;
  addSalientColumns(
    header: number,
    transposed: number,
    paddedTokens: number,
    output: number,
    tokens: number,
    scratch: number,
  ): void;
  addSalientRows(header: number, input: number, output: number, tokens: number): void;
  argmax(values: number, length: number): number;
  attend(
    queries: number,
    keys: number,
    values: number,
    output: number,
    tokens: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    start: number,
    scores: number,
  ): void;
  dequantizeRow(header: number, row: number, output: number, panel: number): void;
  exponentials(values: number, length: number): void;
  multiplyDense(
    weights: number,
    rows: number,
    columns: number,
    input: number,
    output: number,
    tokens: number,
  ): void;
  multiplyPanels(
    header: number,
    codes: number,
    codeScales: number,
    output: number,
    tokens: number,
    panel: number,
    panelScales: number,
  ): void;
  multiplyVector(header: number, x: number, xScales: number, corrections: number, output: number): void;
  packRows(codes: number, rows: number, columns: number, bits: number, packed: number, scratch: number): void;
  packSharedRows(codes: number, rows: number, blocks: number, bits: number, packed: number): void;
  prepareVector(codes: number, units: number, offset: number, corrections: number): void;
  quantizeActivations(
    input: number,
    tokens: number,
    columns: number,
    paddedColumns: number,
    chunkColumns: number,
    codes: number,
    scales: number,
    scratch: number,
  ): void;
  rmsNorm(
    input: number,
    weight: number,
    output: number,
    tokens: number,
    width: number,
    epsilon: number,
  ): void;
  rotate(
    values: number,
    cosines: number,
    sines: number,
    tokens: number,
    heads: number,
    headDim: number,
    start: number,
  ): void;
  swiGlu(gate: number, up: number, output: number, length: number): void;
  transposeTokens(
    source: number,
    tokens: number,
    columns: number,
    paddedTokens: number,
    target: number,
  ): void;
  unpackRows(
    packed: number,
    rows: number,
    columns: number,
    bits: number,
    codes: number,
    scratch: number,
  ): void;
  unpackSharedRows(packed: number, rows: number, blocks: number, bits: number, codes: number): void;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** An instance of the module over `memory`. The module is compiled once. */
export async function instantiate(memory: WebAssembly.Memory): Promise<WasmExports> {
  compiled ??= WebAssembly.compile(bytesFromBase64(kernelsWasm));
  const instance = await WebAssembly.instantiate(await compiled, { env: { memory } });
  return instance.exports as unknown as WasmExports;
}

function bytesFromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
