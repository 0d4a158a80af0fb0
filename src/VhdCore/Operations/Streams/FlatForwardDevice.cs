using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Operations.Streams;

/// <summary>A raw disk down a stream, or a fixed VHD: the disk's bytes as they are, and a footer.</summary>
internal sealed class FlatForwardDevice : ForwardDevice
{
    private readonly VhdCreateParameters? _vhd;

    /// <param name="stream">Where to.</param>
    /// <param name="name">For messages.</param>
    /// <param name="length">Bytes of disk; null where it is not known yet.</param>
    /// <param name="vhd">The fixed VHD, whose size is not looked at; null for a raw disk.</param>
    public FlatForwardDevice(Stream stream, string name, long? length, VhdCreateParameters? vhd)
        : base(stream, name, length ?? long.MaxValue)
    {
        _vhd = vhd;
        if (length is { } size)
        {
            EndOf(size); // refuses what the format cannot hold before a byte has gone down
        }
    }

    protected override long EndOf(long diskLength) =>
        _vhd is null ? Alignment.Up(diskLength, VhdLayout.SectorSize) : VhdCreator.EffectiveSize(diskLength, _vhd.ChsCompatible).Size;

    protected override ValueTask PutAsync(long offset, long count, BlockBuffers? bytes, CancellationToken cancellationToken) => SendAsync(bytes, 0, count, cancellationToken);

    protected override async ValueTask EndAsync(long end, CancellationToken cancellationToken)
    {
        if (_vhd is not null)
        {
            var (size, geometry) = VhdCreator.EffectiveSize(end, _vhd.ChsCompatible);
            var footer = new byte[VhdLayout.FooterSize];
            VhdFooterWriter.Write(VhdCreator.Footer(_vhd, size, geometry), footer);
            await Output.WriteAsync(footer, cancellationToken).ConfigureAwait(false);
        }
    }
}
