import { kernelsWasm, memoryFlagsOffset } from './generated/kernels-wasm.js';

/** What assembly/index.ts exports. All arguments are 32-bit numbers; names of pointers say what they point to. */
export interface WasmExports {
  add(target: number, source: number, length: number): void;
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
    firstHead: number,
    endHead: number,
    scores: number,
    received: number,
    receivedStride: number,
  ): void;
  dequantizeRow(header: number, row: number, output: number, panel: number): void;
  evaluateScales(header: number, strip: number, parameters: number, importance: number, errors: number): void;
  exponentials(values: number, length: number): void;
  invertFactor(block: number, stride: number, size: number, scratch: number): number;
  multiplyDense(
    weights: number,
    rows: number,
    columns: number,
    input: number,
    output: number,
    tokens: number,
    firstRow: number,
    endRow: number,
  ): void;
  multiplyPanels(
    header: number,
    input: number,
    codes: number,
    codeScales: number,
    transposed: number,
    output: number,
    tokens: number,
    firstRow: number,
    endRow: number,
    scratch: number,
  ): void;
  multiplyVector(
    header: number,
    input: number,
    x: number,
    xScales: number,
    corrections: number,
    output: number,
    firstRow: number,
    endRow: number,
  ): void;
  packRows(codes: number, rows: number, columns: number, bits: number, packed: number, scratch: number): void;
  packSharedRows(codes: number, rows: number, blocks: number, bits: number, packed: number): void;
  prepareVector(codes: number, units: number, offset: number, corrections: number): void;
  /** Bytes of the scratch that a call of `updateProduct` needs. */
  productScratchBytes(): number;
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
  refineStrip(header: number, strip: number, sweep: number): void;
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
  searchCodes(
    header: number,
    strip: number,
    parameters: number,
    errorWeights: number,
    salient: number,
    sigmas: number,
    codes: number,
    shared: number,
    residuals: number,
    losses: number,
    scratch: number,
  ): void;
  swiGlu(gate: number, up: number, output: number, length: number): void;
  transposeTokens(
    source: number,
    tokens: number,
    columns: number,
    paddedTokens: number,
    target: number,
    firstColumn: number,
    endColumn: number,
  ): void;
  updateProduct(header: number, firstRow: number, endRow: number, scratch: number): void;
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

/** Added to the flags of a memory's limits: the memory is shared. */
const sharedFlag = 2;

const compiled = new Map<boolean, Promise<WebAssembly.Module>>();

/** The module for a shared memory, or for one that is not. Each is compiled once. */
export function compileKernels(shared: boolean): Promise<WebAssembly.Module> {
  let module = compiled.get(shared);
  if (!module) {
    const bytes = Uint8Array.from(atob(kernelsWasm), (character) => character.charCodeAt(0));
    if (shared) bytes[memoryFlagsOffset]! |= sharedFlag;
    module = WebAssembly.compile(bytes);
    compiled.set(shared, module);
  }
  return module;
}

/** An instance of the module over `memory`. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<WasmExports> {
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  return instance.exports as unknown as WasmExports;
}
