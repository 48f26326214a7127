/** The modules of the kernels that only quantizers need. */
const besideTheDecoder = ['packing', 'linear-algebra', 'code-search', 'code-refinement'].map(
  (name) => `/kernels/dist/generated/${name}-wasm.js`,
);

/** Files that a page loads only in the place of others of the same size: the kernels for engines without relaxed SIMD. */
export const otherwiseLoaded = ['decoding', 'prefill'].map(
  (name) => `/kernels/dist/generated/${name}-wasm.js`,
);

/**
 * What a page pays for imports, everything that they pull in included. `budget` is the greatest size in bytes, minified
 * and gzipped; raise one only with a reason in the commit.
 */
export const bundles = [
  { name: 'format', code: "export * from '@lbs/format';", budget: 15_000 },
  { name: 'format, no tables', code: "export * from '@lbs/format';", withoutTables: true, budget: 13_200 },
  {
    name: 'format, one format',
    code: "export { dequantize, int4, loadMatrix } from '@lbs/format';",
    budget: 6_000,
  },
  // All modules of WebAssembly.
  { name: 'kernels', code: "export * from '@lbs/kernels';", budget: 68_000 },
  {
    name: 'kernels, decoder',
    code: "export { createKernels } from '@lbs/kernels';",
    budget: 51_000,
    absent: besideTheDecoder,
  },
  { name: 'topk-saliency', code: "export * from '@lbs/topk-saliency';", budget: 6_000 },
  // Most of it are the kernels, which search for the codes.
  { name: 'quantizer', code: "export * from '@lbs/quantizer';", budget: 94_000 },
  // Most of it are the codecs of GGUF and of checkpoints, @huggingface/tokenizers, and @huggingface/jinja for chat templates.
  { name: 'model-loaders', code: "export * from '@lbs/model-loaders';", budget: 80_000 },
  { name: 'model-loaders, GGUF', code: "export { openGguf } from '@lbs/model-loaders';", budget: 11_000 },
  { name: 'runtime', code: "export * from '@lbs/runtime';", budget: 82_000 },
  { name: 'eval-harness', code: "export * from '@lbs/eval-harness';", budget: 8_000 },
];
