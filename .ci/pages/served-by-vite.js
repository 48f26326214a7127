import decoding from '@lbs/kernels/wasm/decoding.wasm?url';
import decodingRelaxed from '@lbs/kernels/wasm/decoding-relaxed.wasm?url';
import linearAlgebra from '@lbs/kernels/wasm/linear-algebra.wasm?url';
import prefill from '@lbs/kernels/wasm/prefill.wasm?url';
import prefillRelaxed from '@lbs/kernels/wasm/prefill-relaxed.wasm?url';
import { useKernels } from './use-kernels.js';

const modules = { decoding, decodingRelaxed, prefill, prefillRelaxed, linearAlgebra };
globalThis.useKernels = (options) => useKernels({ ...options, modules });
