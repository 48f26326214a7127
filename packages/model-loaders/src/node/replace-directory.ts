import { rename } from 'node:fs/promises';

/**
 * Puts a directory in the place of another, which moves to `aside` and stays there: a directory cannot be renamed over one that has files in
 * it. Where the second rename fails the old directory comes back.
 */
export async function replaceDirectory(target: string, replacement: string, aside: string): Promise<void> {
  const hadOld = await rename(target, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(replacement, target);
  } catch (error) {
    if (hadOld) await rename(aside, target);
    throw error;
  }
}
