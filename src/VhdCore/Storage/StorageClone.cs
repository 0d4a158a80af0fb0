using VhdCore.Errors;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage;

/// <summary>Gives a storage a range of another one's content without moving its bytes through this process.</summary>
internal static class StorageClone
{
    /// <summary>Bytes; offsets and lengths are multiples of it. Some file systems ask for more, and refuse.</summary>
    public const int Alignment = 4096;

    /// <summary>Whether it is worth trying.</summary>
    public static bool MayClone(IStorage source, IStorage target) =>
        target is LinuxFileStorage file && source is LinuxFileStorage other && file.MayCloneFrom(other);

    /// <summary>Makes a range inside <paramref name="target"/> read as one inside <paramref name="source"/>: by sharing it, or by a copy that the file server makes.</summary>
    /// <param name="source">Nobody writes there meanwhile.</param>
    /// <param name="sourceOffset">Bytes.</param>
    /// <param name="target">Open for writing.</param>
    /// <param name="targetOffset">Bytes.</param>
    /// <param name="length">Bytes.</param>
    /// <returns><see cref="BlockStatus.Unsupported"/> where these storages or this range do not allow it; the target's range may hold anything then.</returns>
    public static BlockStatus Clone(IStorage source, long sourceOffset, IStorage target, long targetOffset, long length) =>
        target is LinuxFileStorage file && source is LinuxFileStorage other
        && sourceOffset % Alignment == 0 && targetOffset % Alignment == 0 && length % Alignment == 0
            ? file.CloneFrom(other, sourceOffset, targetOffset, length)
            : BlockStatus.Unsupported;
}
