import { compileModule } from './compile-modules.js';
import type { CompiledModules } from './module-instances.js';
import { compileServed, type ServedModules } from './served-modules.js';
import type { SimdInstructions } from './simd.js';

/** What is embedded of a decoder, by the names of the files. A page loads the kind that it needs, unless that is served. */
const embedded = {
  decoding: async () => (await import('./generated/decoding-wasm.js')).decodingWasm,
  decodingRelaxed: async () => (await import('./generated/decoding-relaxed-wasm.js')).decodingRelaxedWasm,
  int8Products: async () => (await import('./generated/int8-products-wasm.js')).int8ProductsWasm,
  prefill: async () => (await import('./generated/prefill-wasm.js')).prefillWasm,
  prefillRelaxed: async () => (await import('./generated/prefill-relaxed-wasm.js')).prefillRelaxedWasm,
} as const;

/** The files of the modules of a decoder. */
const filesOf = {
  plain: { decoding: 'decoding', prefill: 'prefill' },
  relaxed: { decoding: 'decodingRelaxed', prefill: 'prefillRelaxed', int8Products: 'int8Products' },
} as const;

/** How modules are compiled before they are used. */
export interface CompileOptions {
  /** For a shared memory. */
  readonly shared: boolean;
  readonly simd: SimdInstructions;
  readonly served?: ServedModules | undefined;
}

/** The modules that every decoder needs. */
export async function compileDecoder({
  shared,
  simd,
  served = {},
}: CompileOptions): Promise<CompiledModules> {
  const files: { readonly [name: string]: keyof typeof embedded } = filesOf[simd];
  const compile = async (file: keyof typeof embedded) => {
    const url = served[file];
    return url === undefined
      ? compileModule(await embedded[file](), shared)
      : compileServed(file, url, shared);
  };
  const compiled = Object.entries(files).map(async ([name, file]) => [name, await compile(file)] as const);
  return Object.fromEntries(await Promise.all(compiled));
}

/** The other modules that are served. What is not is compiled when it is first used. */
export async function compileOthers({ shared, served = {} }: CompileOptions): Promise<CompiledModules> {
  const others = ['packing', 'linearAlgebra', 'codeSearch', 'codeRefinement'] as const;
  const compiled = others.flatMap((name) => {
    const url = served[name];
    return url === undefined
      ? []
      : [compileServed(name, url, shared).then((module) => [name, module] as const)];
  });
  return Object.fromEntries(await Promise.all(compiled));
}
