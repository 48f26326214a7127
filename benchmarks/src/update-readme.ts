import { readFile, writeFile } from 'node:fs/promises';

/** Puts Markdown where the README marks its place, by name. Throws where the marks are missing. */
export async function updateReadme(readme: URL, parts: Readonly<Record<string, string>>): Promise<void> {
  let text = await readFile(readme, 'utf8');
  for (const [name, markdown] of Object.entries(parts)) {
    const between = new RegExp(`(<!-- ${name}:begin -->\\n)[\\s\\S]*?(<!-- ${name}:end -->)`);
    if (!between.test(text)) throw new Error(`${readme.pathname} has no marks for "${name}"`);
    text = text.replace(between, (_, begin: string, end: string) => `${begin}${markdown}\n${end}`);
  }
  await writeFile(readme, text);
}
