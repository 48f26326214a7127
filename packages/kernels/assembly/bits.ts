// Numbers of bits as types. A function over `B` is compiled once for each, with `offsetof<B>()`, the number, a constant that removes its other
// branches; a constant argument would not do, because the optimizer merges the bodies of such calls again.

@unmanaged
export class Bits1 {
  a: u8;
}

@unmanaged
export class Bits2 {
  a: u16;
}

@unmanaged
export class Bits3 {
  a: u16;
  b: u8;
}

@unmanaged
export class Bits4 {
  a: u32;
}

@unmanaged
export class Bits5 {
  a: u32;
  b: u8;
}

@unmanaged
export class Bits6 {
  a: u32;
  b: u16;
}

@unmanaged
export class Bits7 {
  a: u32;
  b: u16;
  c: u8;
}

@unmanaged
export class Bits8 {
  a: u64;
}
