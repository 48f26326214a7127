import { type EmbeddedWasm, embeddedBytes } from './embedded-wasm.js';

/** The module for a shared memory, or for one that is not. Each is compiled once. */
export const compileModule = once((embedded, shared) => WebAssembly.compile(embeddedBytes(embedded, shared)));

/** As `compileModule`, at once. On the main thread of a page, Chromium before 114 refuses it for modules of more than 4 kB. */
export const compileModuleNow = once(
  (embedded, shared) => new WebAssembly.Module(embeddedBytes(embedded, shared)),
);

type Compile<T> = (embedded: EmbeddedWasm, shared: boolean) => T;

function once<T>(compile: Compile<T>): Compile<T> {
  const compiled = new WeakMap<EmbeddedWasm, Map<boolean, T>>();
  return (embedded, shared) => {
    const kinds = compiled.get(embedded) ?? new Map<boolean, T>();
    compiled.set(embedded, kinds);
    let module = kinds.get(shared);
    if (module === undefined) {
      module = compile(embedded, shared);
      kinds.set(shared, module);
    }
    return module;
  };
}
