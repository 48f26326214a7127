/** The name of one of several files: `model-00001-of-00003.gguf`. */
const SHARD_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/is;

/** The file names of all shards, in order, of which `name` is one; undefined where it is no such name. */
export function ggufShardNames(name: string): readonly string[] | undefined {
  const [, prefix, , count, extension] = SHARD_NAME.exec(name) ?? [];
  if (prefix === undefined) return undefined;
  return Array.from(
    { length: Number(count) },
    (_, i) => `${prefix}-${String(i + 1).padStart(5, '0')}-of-${count}${extension}`,
  );
}
