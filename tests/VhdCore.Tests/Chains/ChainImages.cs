using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Chains;

/// <summary>Small chains in memory, and disks opened over them.</summary>
internal static class ChainImages
{
    public const int Size = 256 << 10; // bytes of disk
    public const int BlockSize = 32 << 10; // bytes

    public static PlainVhdBuilder Image(string name, byte id, PlainVhdBuilder? parent = null, PlainDialect dialect = PlainDialect.Xen, long size = Size) => new()
    {
        FileName = name,
        Id = id,
        Size = size,
        BlockSize = BlockSize,
        Dialect = dialect,
        Parent = parent,
    };

    /// <summary>Puts images into a folder of a resolver.</summary>
    public static MemoryStorageResolver Memory(params ReadOnlySpan<PlainVhdBuilder> images)
    {
        var resolver = new MemoryStorageResolver();
        foreach (var image in images)
        {
            resolver.Add("/vm/" + image.FileName, image.Build());
        }

        return resolver;
    }

    public static ValueTask<VirtualDisk> OpenAsync(IStorageResolver resolver, string path, ImageOpenOptions? options = null) =>
        VirtualDisk.OpenAsync(path, options, resolver, TestContext.Current.CancellationToken);

    /// <summary>The disk's whole content.</summary>
    public static async Task<byte[]> ReadAllAsync(VirtualDisk disk)
    {
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, TestContext.Current.CancellationToken);
        return content;
    }

    /// <summary>Opens, reads everything, closes.</summary>
    public static async Task<byte[]> ReadAllAsync(IStorageResolver resolver, string path, ImageOpenOptions? options = null)
    {
        var disk = await OpenAsync(resolver, path, options);
        await using (disk)
        {
            return await ReadAllAsync(disk);
        }
    }
}
