using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace MiniHypervisor.Devices;

/// <summary>An image as the guest's disk: with other sector sizes than its own, less than its whole length, and places that fail, if so wished.</summary>
internal sealed class GuestDisk : IBlockDevice
{
    private readonly VirtualDisk _disk;
    private readonly IBlockDevice _device;
    private long _length;
    private long _badStart;
    private long _badLength;

    private GuestDisk(VirtualDisk disk, BlockDeviceInfo info, long length)
    {
        _disk = disk;
        _device = disk.Device;
        Info = info;
        _length = length;
    }

    public event Action<long>? Resized;

    public BlockDeviceInfo Info { get; }

    public long Length => Volatile.Read(ref _length);

    /// <summary>Which disk it is, as the image says; null for an image without an identifier.</summary>
    public Guid? Id => _disk.Images[0].UniqueId;

    /// <summary>Opens an image, with what the command line says about it.</summary>
    /// <param name="description">PATH[,sectors=512|512e|4kn][,size=BYTES][,readonly].</param>
    public static async Task<GuestDisk> OpenAsync(string description)
    {
        var parts = description.Split(',');
        var isReadOnly = false;
        long? size = null;
        (int Logical, int Physical)? sectors = null;
        foreach (var option in parts[1..])
        {
            switch (option.Split('='))
            {
                case ["readonly"]:
                    isReadOnly = true;
                    break;

                case ["size", var text]:
                    size = Sizes.Parse(text);
                    break;

                case ["sectors", var kind]:
                    sectors = kind switch
                    {
                        "512" => (512, 512),
                        "512e" => (512, 4096),
                        "4kn" => (4096, 4096),
                        _ => throw new FormatException($"A disk has sectors=512, 512e or 4kn, not {kind}."),
                    };
                    break;

                default:
                    throw new FormatException($"'{option}' says nothing about a disk: PATH[,sectors=512|512e|4kn][,size=BYTES][,readonly].");
            }
        }

        var disk = await VirtualDisk.OpenAsync(parts[0], new ImageOpenOptions { Writable = !isReadOnly });
        var own = disk.Device.Info;
        var info = own with
        {
            LogicalSectorSize = sectors?.Logical ?? own.LogicalSectorSize,
            PhysicalSectorSize = sectors?.Physical ?? own.PhysicalSectorSize,
        };
        return new GuestDisk(disk, info, Math.Min(size ?? long.MaxValue, disk.Length));
    }

    /// <summary>Shows the guest another length, up to the image's.</summary>
    public void Resize(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Volatile.Write(ref _length, Math.Min(length, _device.Length));
        Resized?.Invoke(Length);
    }

    /// <summary>Lets every request that touches a range fail; no bytes end that.</summary>
    public void Break(long offset, long length)
    {
        Volatile.Write(ref _badStart, offset);
        Volatile.Write(ref _badLength, length);
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        Refuse(offset, into.Length) is { } refusal ? ValueTask.FromResult(refusal) : _device.ReadAsync(offset, into, cancellationToken);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Refuse(offset, from.Length) is { } refusal ? ValueTask.FromResult(refusal) : _device.WriteAsync(offset, from, flags, cancellationToken);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => _device.FlushAsync(cancellationToken);

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        Refuse(offset, length) is { } refusal ? ValueTask.FromResult(refusal) : _device.TrimAsync(offset, length, cancellationToken);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Refuse(offset, length) is { } refusal ? ValueTask.FromResult(refusal) : _device.ZeroAsync(offset, length, flags, cancellationToken);

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        _device.MapAsync(offset, length, cancellationToken);

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private BlockStatus? Refuse(long offset, long length)
    {
        var end = Length;
        if (offset < 0 || offset > end || length > end - offset)
        {
            return BlockStatus.OutOfRange;
        }

        var bad = Volatile.Read(ref _badLength);
        var start = Volatile.Read(ref _badStart);
        return bad > 0 && offset < start + bad && offset + length > start ? BlockStatus.IoError : null;
    }
}
