using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>What a writer is put together from.</summary>
internal sealed record VhdWriterParts(
    IStorage Storage, VhdMetadata Metadata, VhdBlockTable Table, SlotPool Pool, VhdSpace Space, long TableCacheBytes);
