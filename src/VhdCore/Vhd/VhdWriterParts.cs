using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>What a writer is put together from.</summary>
/// <param name="Storage">The image.</param>
/// <param name="Metadata">Its structures.</param>
/// <param name="Table">Its table.</param>
/// <param name="Pool">Places for blocks.</param>
/// <param name="Space">What makes more of them.</param>
/// <param name="TableCacheBytes">Bytes of table pages that may be kept.</param>
/// <param name="ShortEntry">The entry of a last block that the disk does not fill, where the file has no room for all of it: another block could not take its place.
/// Otherwise <see cref="VhdLayout.UnusedEntry"/>.</param>
internal sealed record VhdWriterParts(
    IStorage Storage, VhdMetadata Metadata, VhdBlockTable Table, SlotPool Pool, VhdSpace Space, long TableCacheBytes, uint ShortEntry);
