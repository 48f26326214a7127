import { compileModule } from './compile-modules.js';
import type { CompiledModules } from './module-instances.js';
import type { SimdInstructions } from './simd.js';

/** The two modules of a decoder, of either kind of instructions. A page loads the kind that it needs. */
const embedded = {
  plain: async () => {
    const modules = [import('./generated/decoding-wasm.js'), import('./generated/prefill-wasm.js')] as const;
    const [{ decodingWasm }, { prefillWasm }] = await Promise.all(modules);
    return { decoding: decodingWasm, prefill: prefillWasm };
  },
  relaxed: async () => {
    const modules = [
      import('./generated/decoding-relaxed-wasm.js'),
      import('./generated/prefill-relaxed-wasm.js'),
    ] as const;
    const [{ decodingRelaxedWasm }, { prefillRelaxedWasm }] = await Promise.all(modules);
    return { decoding: decodingRelaxedWasm, prefill: prefillRelaxedWasm };
  },
} as const;

/** The modules that every decoder needs. */
export async function compileDecoder(shared: boolean, simd: SimdInstructions): Promise<CompiledModules> {
  const { decoding, prefill } = await embedded[simd]();
  const modules = [compileModule(decoding, shared), compileModule(prefill, shared)] as const;
  const [decodingModule, prefillModule] = await Promise.all(modules);
  return { decoding: decodingModule, prefill: prefillModule };
}
