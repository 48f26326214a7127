export { writeAtomically } from './atomic-file.js';
export { type FileSource, openFileSource } from './file-source.js';
export { hashSource } from './hash-source.js';
export * from './job-directory.js';
export { fileDirectory, openModel } from './open-model.js';
export * from './write-model-directory.js';
export type { ModelFilesOptions, ModelToWrite, WriteModelProgress } from './write-model-files.js';
export * from './write-safetensors.js';
