import { useKernels } from './use-kernels.js';

globalThis.useKernels = useKernels;
