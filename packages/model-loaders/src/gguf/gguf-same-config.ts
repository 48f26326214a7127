import { UnsupportedError } from '@lbs/format';
import { describeValue } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import { parseGgufConfig } from './gguf-config.js';
import type { GgufTensorSpec } from './gguf-serialize.js';
import { type GgufTypedMetadata, plainMetadata } from './gguf-typed-value.js';

/** Throws UnsupportedError unless the config that is read from the file will be that of the model. */
export async function assertSameConfig(
  config: ModelConfig,
  file: string,
  metadata: GgufTypedMetadata,
  tensors: readonly GgufTensorSpec[],
  factors: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
): Promise<void> {
  const found = await parseGgufConfig(
    {
      metadata: plainMetadata(metadata),
      tensors: new Map(tensors.map(({ name, type, shape }) => [name, { dtype: type, shape, byteLength: 0 }])),
      readFloat32: async (name) => factors.get(name)!,
    },
    file,
  );
  const asWritten = (value: unknown) =>
    typeof value === 'number' ? Math.fround(value) : JSON.stringify(value ?? null);
  for (const key of new Set([...Object.keys(config), ...Object.keys(found)]) as Set<keyof ModelConfig>) {
    // The tokenizer's own tokens are written; and factors stand for a rule.
    const isWrittenOtherwise =
      key === 'beginningOfSequence' || key === 'endOfSequence' || (key === 'ropeScaling' && factors.size > 0);
    if (isWrittenOtherwise || asWritten(config[key]) === asWritten(found[key])) continue;
    throw new UnsupportedError(
      `GGUF cannot say that ${key} is ${describeValue(config[key])}: it would be read as ${describeValue(found[key])}`,
      { file, mend: 'llama.cpp does not know such models of this architecture.' },
    );
  }
}
