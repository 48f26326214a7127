import decoding from '@lbs/kernels/wasm/decoding.wasm';
import decodingRelaxed from '@lbs/kernels/wasm/decoding-relaxed.wasm';
import linearAlgebra from '@lbs/kernels/wasm/linear-algebra.wasm';
import prefill from '@lbs/kernels/wasm/prefill.wasm';
import prefillRelaxed from '@lbs/kernels/wasm/prefill-relaxed.wasm';
import { useKernels } from './use-kernels.js';

const modules = { decoding, decodingRelaxed, prefill, prefillRelaxed, linearAlgebra };
globalThis.useKernels = (options) => useKernels({ ...options, modules });
