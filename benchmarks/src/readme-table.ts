import { readFile, writeFile } from 'node:fs/promises';

const between = /(<!-- table:begin -->\n)[\s\S]*?(<!-- table:end -->)/;

/** Puts a Markdown table where the README marks its place. Throws where the marks are missing. */
export async function updateReadmeTable(readme: URL, table: string): Promise<void> {
  const text = await readFile(readme, 'utf8');
  if (!between.test(text)) throw new Error(`${readme.pathname} has no marks for the table`);
  await writeFile(
    readme,
    text.replace(between, (_, begin: string, end: string) => `${begin}${table}\n${end}`),
  );
}
