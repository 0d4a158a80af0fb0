using VhdCore.Layers;

namespace VhdCore.Chains;

/// <summary>The images that answer for a disk at one time. Immutable: a change publishes a new state and lets the old one drain.</summary>
/// <param name="layers">Leaf first, at least one.</param>
/// <param name="length">Bytes of disk: the leaf's.</param>
internal sealed class ChainState(IReadOnlyList<IImageLayer> layers, long length)
{
    private readonly IImageLayer[] _layers = [.. layers];

    /// <summary>Leaf first.</summary>
    public ReadOnlySpan<IImageLayer> Layers => _layers;

    /// <summary>Bytes of disk.</summary>
    public long Length { get; } = length;

    /// <summary>The image that the guest writes to.</summary>
    public IImageLayer Leaf => _layers[0];

    /// <summary>
    /// The first run at <paramref name="diskOffset"/> over all images: the first one that answers. Behind the end of an image, and below the last, are zeros.
    /// </summary>
    /// <returns>The extent, never of kind Parent, and the index of the image that answered.</returns>
    public (DiskExtent Extent, int Depth) Resolve(long diskOffset, long length) => Resolve(diskOffset, length, firstDepth: 0);

    /// <summary>As <see cref="Resolve(long, long)"/>, asking only the images from <paramref name="firstDepth"/> on.</summary>
    public (DiskExtent Extent, int Depth) Resolve(long diskOffset, long length, int firstDepth)
    {
        for (var depth = firstDepth; depth < _layers.Length; depth++)
        {
            var layer = _layers[depth];
            var inside = layer.Length - diskOffset;
            if (inside <= 0)
            {
                return (new DiskExtent(ExtentKind.Zero, length, 0, IsAllocated: false), depth);
            }

            var extent = layer.Resolve(diskOffset, Math.Min(length, inside));
            if (extent.Kind != ExtentKind.Parent)
            {
                return (extent, depth);
            }

            length = extent.Length;
        }

        return (new DiskExtent(ExtentKind.Zero, length, 0, IsAllocated: false), _layers.Length - 1);
    }
}
