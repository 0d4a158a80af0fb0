using VhdCore.Layers;

namespace VhdCore.Chains;

/// <summary>The images that answer for a disk at one time. Immutable: a change publishes a new state and lets the old one drain.</summary>
/// <param name="layers">Leaf first, at least one.</param>
/// <param name="length">Bytes of disk: the leaf's.</param>
internal sealed class ChainState(IReadOnlyList<IImageLayer> layers, long length)
{
    private readonly IImageLayer[] _layers = [.. layers];
    private readonly long[] _lengths = [.. layers.Select(layer => layer.Length)];

    /// <summary>Leaf first.</summary>
    public ReadOnlySpan<IImageLayer> Layers => _layers;

    /// <summary>Bytes of disk.</summary>
    public long Length { get; } = length;

    /// <summary>The image that the guest writes to.</summary>
    public IImageLayer Leaf => _layers[0];

    /// <summary>
    /// The first run at <paramref name="diskOffset"/> over all images: the first one that answers. Behind the end of an image, and below the last, are zeros.
    /// </summary>
    /// <param name="diskOffset">Bytes from the disk's start.</param>
    /// <param name="length">Bytes, at least 1.</param>
    /// <param name="depth">The index of the image that answered.</param>
    /// <param name="firstDepth">The first image that is asked.</param>
    /// <returns>Never of kind Parent.</returns>
    public DiskExtent Resolve(long diskOffset, long length, out int depth, int firstDepth = 0)
    {
        for (depth = firstDepth; depth < _layers.Length; depth++)
        {
            var inside = _lengths[depth] - diskOffset;
            if (inside <= 0)
            {
                return new DiskExtent(ExtentKind.Zero, length, 0, IsAllocated: false);
            }

            var extent = _layers[depth].Resolve(diskOffset, Math.Min(length, inside));
            if (extent.Kind != ExtentKind.Parent)
            {
                return extent;
            }

            length = extent.Length;
        }

        depth = _layers.Length - 1;
        return new DiskExtent(ExtentKind.Zero, length, 0, IsAllocated: false);
    }
}
