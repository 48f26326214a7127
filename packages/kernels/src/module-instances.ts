import { compileModuleNow } from './compile-modules.js';
import { type EmbeddedWasm, embeddedBytes } from './embedded-wasm.js';
import type { ThreadPool } from './thread-pool.js';
import type { ModuleExports, ModuleName } from './wasm-exports.js';

/** Modules by their names. */
export type CompiledModules = { readonly [Name in ModuleName]?: WebAssembly.Module };

/** The instances of modules over one memory, on the caller's thread. Each is made when it is first used, and made known to the threads. */
export class ModuleInstances {
  readonly #memory: WebAssembly.Memory;
  readonly #pool: ThreadPool;
  readonly #compiled: CompiledModules;
  readonly #exports = new Map<ModuleName, object>();

  /** `compiled` are those that the workers of the pool have had from their start. */
  constructor(memory: WebAssembly.Memory, pool: ThreadPool, compiled: CompiledModules) {
    this.#memory = memory;
    this.#pool = pool;
    this.#compiled = compiled;
  }

  /** The exports of a module; compiles what is embedded where it has not been compiled before. */
  use<Name extends ModuleName>(name: Name, embedded: EmbeddedWasm): ModuleExports[Name] {
    if (this.#compiled[name] || this.#exports.has(name)) return this.compiled(name);
    const shared = this.#pool.threads > 1;
    const bytes = shared ? embeddedBytes(embedded, shared) : undefined;
    return this.#instantiate(name, compileModuleNow(embedded, shared), bytes);
  }

  /** The exports of a module that has been compiled before. */
  compiled<Name extends ModuleName>(name: Name): ModuleExports[Name] {
    const exports = this.#exports.get(name) as ModuleExports[Name] | undefined;
    return exports ?? this.#instantiate(name, this.#compiled[name]!);
  }

  #instantiate<Name extends ModuleName>(
    name: Name,
    module: WebAssembly.Module,
    bytes?: Uint8Array,
  ): ModuleExports[Name] {
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    this.#pool.attach({ name, exports, bytes });
    this.#exports.set(name, exports);
    return exports as unknown as ModuleExports[Name];
  }
}
