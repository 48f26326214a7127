// Copies the calibration text beside the built command, so that it ships with it.
import { copyFileSync } from 'node:fs';

copyFileSync(
  new URL('../../../datasets/texts/calibration.txt', import.meta.url),
  new URL('../dist/calibration.txt', import.meta.url),
);
