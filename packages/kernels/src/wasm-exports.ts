// What the modules export. All arguments are 32-bit numbers; names of pointers say what they point to. No two modules have exports of the
// same name: the threads call them by it.

/** What assembly/modules/decoding.ts exports. */
export interface DecodingExports {
  activate(kind: number, gate: number, up: number, output: number, length: number): void;
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
    scale: number,
    window: number,
    cap: number,
  ): void;
  clamp(values: number, limit: number, length: number): void;
  exponentials(values: number, length: number): void;
  layerNorm(
    input: number,
    weight: number,
    bias: number,
    output: number,
    tokens: number,
    width: number,
    epsilon: number,
  ): void;
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
  multiplyVector(
    header: number,
    input: number,
    x: number,
    output: number,
    firstRow: number,
    endRow: number,
  ): void;
  prepareVector(
    codes: number,
    scales: number,
    units: number,
    factor: number,
    privateBits: number,
    sharedBits: number,
    target: number,
  ): void;
  quantizeActivations(
    input: number,
    tokens: number,
    columns: number,
    paddedColumns: number,
    chunkColumns: number,
    largest: number,
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
    rotaryDim: number,
    start: number,
  ): void;
  scale(values: number, factor: number, length: number): void;
  softcap(values: number, cap: number, length: number): void;
  swiGlu(gate: number, up: number, output: number, length: number): void;
}

/** What assembly/modules/prefill.ts exports. */
export interface PrefillExports {
  dequantizeRow(header: number, row: number, output: number, panel: number): void;
  multiplyExactly(
    header: number,
    input: number,
    output: number,
    tokens: number,
    firstRow: number,
    endRow: number,
    scratch: number,
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
  transposeTokens(
    source: number,
    tokens: number,
    columns: number,
    paddedTokens: number,
    target: number,
    firstColumn: number,
    endColumn: number,
  ): void;
  writeRecords(
    header: number,
    firstRow: number,
    endRow: number,
    packed: number,
    shared: number,
    scales: number,
    zeroPoints: number,
    groupSize: number,
    codeColumns: number,
    positions: number,
  ): void;
}

/** What assembly/modules/int8-products.ts exports; only engines with relaxed SIMD have it. */
export interface Int8ProductsExports {
  multiplyPanelsInt8(
    header: number,
    input: number,
    codes: number,
    codeScales: number,
    sums: number,
    transposed: number,
    output: number,
    tokens: number,
    firstRow: number,
    endRow: number,
    isNarrow: number,
    scratch: number,
  ): void;
  multiplyVectorInt8: DecodingExports['multiplyVector'];
  narrowActivations(
    codes: number,
    tokens: number,
    paddedColumns: number,
    chunks: number,
    chunkColumns: number,
    target: number,
    sums: number,
  ): void;
  prepareVectorInt8: DecodingExports['prepareVector'];
}

/** What assembly/modules/packing.ts exports. */
export interface PackingExports {
  packRows(codes: number, rows: number, columns: number, bits: number, packed: number, scratch: number): void;
  packSharedRows(codes: number, rows: number, blocks: number, bits: number, packed: number): void;
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

/** What assembly/modules/linear-algebra.ts exports. */
export interface LinearAlgebraExports {
  invertFactor(block: number, stride: number, size: number, scratch: number): number;
  /** Bytes of the scratch that a call of `updateProduct` needs. */
  productScratchBytes(): number;
  updateProduct(header: number, firstRow: number, endRow: number, scratch: number): void;
}

/** What assembly/modules/code-search.ts exports. */
export interface CodeSearchExports {
  evaluateScales(header: number, strip: number, parameters: number, importance: number, errors: number): void;
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
}

/** What assembly/modules/code-refinement.ts exports. */
export interface CodeRefinementExports {
  refineStrip(header: number, strip: number, sweep: number): void;
}

/** What the products, and all else that a decoder computes, need. */
export interface DecoderExports extends DecodingExports, PrefillExports {}

/** The exports of each module. */
export interface ModuleExports {
  readonly decoding: DecodingExports;
  readonly prefill: PrefillExports;
  readonly int8Products: Int8ProductsExports;
  readonly packing: PackingExports;
  readonly linearAlgebra: LinearAlgebraExports;
  readonly codeSearch: CodeSearchExports;
  readonly codeRefinement: CodeRefinementExports;
}

/** A module of the kernels. */
export type ModuleName = keyof ModuleExports;

/** Modules in the order in which threads number them. */
export const moduleNames = [
  'decoding',
  'prefill',
  'int8Products',
  'packing',
  'linearAlgebra',
  'codeSearch',
  'codeRefinement',
] as const satisfies readonly ModuleName[];

/** The exports of all modules. */
export interface WasmExports
  extends DecoderExports,
    Int8ProductsExports,
    PackingExports,
    LinearAlgebraExports,
    CodeSearchExports,
    CodeRefinementExports {}
