/*
 * Runs the codecs for compare_codecs.py: reads requests `COMMAND TYPE INPUT OUTPUT` from the standard input, one a line, and
 * answers each with the seconds of CPU time that the codec alone took.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ggufDequantizers, ggufQuantizers } from '../dist/index.js';

const commands = {
  dequantize: (type, bytes) => ggufDequantizers.get(type).dequantize(bytes),
  quantize: (type, bytes) => ggufQuantizers.get(type).quantize(new Float32Array(bytes.buffer)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, type, input, output] = line.split(' ');
  const bytes = Uint8Array.from(readFileSync(input));
  const started = process.cpuUsage();
  const result = commands[command](type, bytes);
  const { user, system } = process.cpuUsage(started);
  writeFileSync(output, new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
  console.log((user + system) / 1e6);
}
