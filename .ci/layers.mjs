const published = [
  'format',
  'kernels',
  'topk-saliency',
  'quantizer',
  'model-loaders',
  'runtime',
  'eval-harness',
  'cli',
];

/**
 * The layers of the workspace, lowest first: which packages each may import. Nothing else may be imported.
 * The quantizer gets its activations, and the eval harness its model, through small interfaces of their own,
 * so neither needs the runtime; `cli` and `benchmarks` connect them.
 */
export const layers = {
  format: [],
  kernels: ['format'],
  'topk-saliency': ['format'],
  quantizer: ['format', 'kernels', 'topk-saliency'],
  'model-loaders': ['format'],
  runtime: ['format', 'kernels', 'model-loaders'],
  'eval-harness': [],
  datasets: [],
  cli: published.filter((name) => name !== 'cli'),
  benchmarks: [...published, 'datasets'],
};

/** Folders whose sources may import Node's own modules. All other sources also run in a browser. */
export const nodeOnlyFolders = ['packages/model-loaders/src/node', 'packages/cli', 'benchmarks', 'datasets'];
