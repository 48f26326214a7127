import { FileAccessError, MalformedFileError } from '@lbs/format';
import { sharedFlag } from './embedded-wasm.js';
import { wasmFiles } from './generated/wasm-files.js';

/** A file of `@lbs/kernels/wasm/`, in camel case: `decodingRelaxed` is decoding-relaxed.wasm. */
export type WasmFile =
  | 'decoding'
  | 'decodingRelaxed'
  | 'int8Products'
  | 'prefill'
  | 'prefillRelaxed'
  | 'packing'
  | 'linearAlgebra'
  | 'codeSearch'
  | 'codeRefinement';

/** What scripts/build-wasm.mjs notes of a file. */
export interface WasmFileFacts {
  readonly name: string;
  readonly bytes: number;
  /** As in `EmbeddedWasm`. */
  readonly memoryFlagsOffset: number;
}

/** Where a page serves files of `@lbs/kernels/wasm/`: what `fetch` takes. */
export type ServedModules = { readonly [File in WasmFile]?: string | URL };

/**
 * Compiles a module while it arrives, for a shared memory or for one that is not. Throws FileAccessError where there is no file, and
 * MalformedFileError for one that is not of this version of the package.
 */
export async function compileServed(
  file: WasmFile,
  url: string | URL,
  shared: boolean,
): Promise<WebAssembly.Module> {
  const body = await fetchBody(url);
  const checked = body.pipeThrough(checkedStream(file, url, shared));
  // A response of our own: servers that do not know the type of WebAssembly are forgiven.
  const response = new Response(checked, { headers: { 'content-type': 'application/wasm' } });
  try {
    return await WebAssembly.compileStreaming(response);
  } catch (cause) {
    if (cause instanceof MalformedFileError) throw cause;
    throw anotherVersion(file, url, cause);
  }
}

async function fetchBody(url: string | URL): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const mend =
    'Serve the files of @lbs/kernels/wasm/, or leave the option modules out: they are part of the JavaScript too.';
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new FileAccessError('the module cannot be fetched', { file: `${url}`, mend, cause });
  }
  if (response.ok && response.body) return response.body;
  throw new FileAccessError(`the module cannot be fetched: the server answers ${response.status}`, {
    file: `${url}`,
    mend,
  });
}

/** Lets a file through that has the size of this version's, and sets the bit of a shared memory on the way. */
function checkedStream(
  file: WasmFile,
  url: string | URL,
  shared: boolean,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const { bytes, memoryFlagsOffset } = wasmFiles[file];
  let passed = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const place = memoryFlagsOffset - passed;
      passed += chunk.length;
      if (shared && place >= 0 && place < chunk.length) {
        const flagged = chunk.slice();
        flagged[place]! |= sharedFlag;
        controller.enqueue(flagged);
      } else controller.enqueue(chunk);
    },
    flush(controller) {
      if (passed !== bytes)
        controller.error(anotherVersion(file, url, `it has ${passed} bytes, not ${bytes}`));
    },
  });
}

function anotherVersion(file: WasmFile, url: string | URL, cause: unknown): MalformedFileError {
  return new MalformedFileError(`this is not ${wasmFiles[file].name} of this version: ${cause}`, {
    file: `${url}`,
    mend: 'Serve the file of the same release of @lbs/kernels as the JavaScript.',
    cause,
  });
}
