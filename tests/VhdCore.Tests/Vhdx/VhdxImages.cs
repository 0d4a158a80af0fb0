using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>Images in memory for the tests of one format floor: no files, no parent names.</summary>
internal static class VhdxImages
{
    public const int MiB = 1 << 20;

    /// <summary>An image of these bytes.</summary>
    public static MemoryStorage InMemory(byte[] bytes, string name = "image.vhdx")
    {
        var storage = new MemoryStorage(name);
        storage.Replace(bytes);
        return storage;
    }

    /// <summary>Reads and judges an image's structures.</summary>
    public static async Task<VhdxMetadata> ReadAsync(byte[] bytes, ImageOpenOptions? options = null) =>
        await VhdxMetadataReader.ReadAsync(new ArrayStorage(bytes, "image.vhdx"), options ?? new ImageOpenOptions(), TestContext.Current.CancellationToken);

    /// <summary>What is to be thought of an image.</summary>
    public static async Task<IReadOnlyList<Finding>> ExamineAsync(byte[] bytes) =>
        (await VhdxExaminer.ExamineAsync(new ArrayStorage(bytes, "image.vhdx"), TestContext.Current.CancellationToken)).Findings;

    /// <summary>Opens images, leaf first, as one disk; parents are taken as given.</summary>
    public static async Task<ChainDevice> OpenAsync(ImageOpenOptions options, params byte[][] images)
    {
        var layers = new List<IImageLayer>();
        foreach (var image in images)
        {
            var storage = new ArrayStorage(image, "image.vhdx");
            layers.Add(VhdxLayer.Open(storage, await VhdxMetadataReader.ReadAsync(storage, options, TestContext.Current.CancellationToken), options));
        }

        return new ChainDevice(
            new ChainState(layers, layers[0].Length), new InFlightGate(),
            new BlockDeviceInfo { Name = "image.vhdx", IsReadOnly = true, LogicalSectorSize = layers[0].LogicalSectorSize });
    }

    /// <summary>The whole disk as the library reads it.</summary>
    public static async Task<byte[]> ReadAllAsync(params byte[][] images)
    {
        await using var device = await OpenAsync(new ImageOpenOptions(), images);
        return await device.ReadBytesAsync(0, (int)device.Length, TestContext.Current.CancellationToken);
    }

    /// <summary>The whole disk as the independent reader reads it.</summary>
    public static byte[] ReadPlainly(params byte[][] images)
    {
        using var chain = PlainVhdxChain.Open([.. images.Select(image => new MemoryStream(image, writable: false))]);
        return chain.ReadAll();
    }

    /// <summary>A block's worth of bytes that no other block has.</summary>
    public static byte[] Pattern(int seed, int length = MiB)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
