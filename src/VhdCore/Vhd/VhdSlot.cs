namespace VhdCore.Vhd;

/// <summary>A place for a block: its bitmap is written as a new block's is, and its data reads as zeros.</summary>
/// <param name="Entry">Sector number of the bitmap, as the block allocation table has it.</param>
/// <param name="IsDurable">All of that survives a power cut already, so that a table entry may point here in any order.</param>
internal readonly record struct VhdSlot(uint Entry, bool IsDurable);
