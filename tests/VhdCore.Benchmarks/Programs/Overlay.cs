using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Programs;

/// <summary>Makes a child of an image that holds a share of its content again, so that reads of the chain go to every image of it.</summary>
internal static class Overlay
{
    private const int ChunkSize = 64 << 10; // bytes

    /// <param name="parent">The image below.</param>
    /// <param name="child">The image to make, of the parent's format.</param>
    /// <param name="share">One chunk in so many is the child's.</param>
    public static async Task<int> MakeAsync(string parent, string child, int share)
    {
        await using var disk = await VirtualDisk.CreateAsync(child, new ImageCreateOptions
        {
            Format = Path.GetExtension(parent) == ".vhdx" ? ImageFormat.Vhdx : ImageFormat.Vhd,
            Kind = ImageKind.Differencing,
            Parent = parent,
        });
        var random = new Random(child.Length);
        using var buffer = new NativeBuffer(ChunkSize);
        for (var offset = 0L; offset + ChunkSize <= disk.Length; offset += ChunkSize)
        {
            if (random.Next(share) == 0)
            {
                await disk.Device.ReadAsync(offset, buffer.Buffers);
                await disk.Device.WriteAsync(offset, buffer.Buffers);
            }
        }

        await disk.FlushAsync();
        return 0;
    }
}
