namespace VhdCore.Layers;

/// <summary>A place for a block, formatted as the format wants a new block: it reads as zeros.</summary>
/// <param name="Offset">Bytes from the storage's start.</param>
/// <param name="IsDurable">All of that survives a power cut already, so that a table may point here in any order.</param>
internal readonly record struct Slot(long Offset, bool IsDurable);
