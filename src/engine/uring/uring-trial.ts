/** Calls io_uring as the engine does, in a process of its own (`seccomp.ts`), and says nothing: it may be ended for that. */

import { loadUring } from './load.ts';

loadUring();
