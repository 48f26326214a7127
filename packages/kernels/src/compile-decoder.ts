import { compileModule } from './compile-modules.js';
import type { CompiledModules } from './module-instances.js';

/** The modules that every decoder needs. Their code is loaded here, so that a page can show something before it comes. */
export async function compileDecoder(shared: boolean): Promise<CompiledModules> {
  const [{ decodingWasm }, { prefillWasm }] = await Promise.all([
    import('./generated/decoding-wasm.js'),
    import('./generated/prefill-wasm.js'),
  ]);
  const [decoding, prefill] = await Promise.all([
    compileModule(decodingWasm, shared),
    compileModule(prefillWasm, shared),
  ]);
  return { decoding, prefill };
}
