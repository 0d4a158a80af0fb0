using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Raw;

/// <summary>A raw image: the guest's bytes and nothing else.</summary>
internal static class RawLayer
{
    private const int SectorSize = 512; // bytes

    /// <summary>Opens a storage as a raw disk; a length that is no multiple of a sector is rounded up, and the missing bytes read as zeros.</summary>
    public static IWritableLayer Open(IStorage storage) => new FlatLayer(storage, Alignment.Up(storage.Length, SectorSize));
}
