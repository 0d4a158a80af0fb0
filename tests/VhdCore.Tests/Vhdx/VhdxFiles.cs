using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>An image to create.</summary>
internal sealed record VhdxFile
{
    public ImageKind Kind { get; init; } = ImageKind.Dynamic;

    /// <summary>Bytes of disk.</summary>
    public long Size { get; init; } = 8 << 20;

    public uint BlockSize { get; init; } = 1 << 20;

    public int SectorSize { get; init; } = 512;

    public uint LogLength { get; init; } = 1 << 20;

    /// <summary>The parent's name, in the same folder.</summary>
    public string? Parent { get; init; }

    /// <summary>The parent's name to the resolver, where it is another.</summary>
    public string? ParentPath { get; init; }
}

/// <summary>Named images, created and opened below the library's door.</summary>
internal static class VhdxFiles
{
    public static async Task CreateAsync(IStorageResolver resolver, string name, VhdxFile file)
    {
        var locator = new List<KeyValuePair<string, string>>();
        if (file.Parent is not null)
        {
            locator.Add(new("parent_linkage", $"{{{(await ReadMetadataAsync(resolver, file.ParentPath ?? file.Parent)).Header.DataWriteGuid:D}}}"));
            locator.Add(new("relative_path", @".\" + file.Parent.TrimStart('/')));
        }

        await using var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForCreating);
        var parameters = new VhdxCreateParameters
        {
            Kind = file.Kind,
            Size = file.Size,
            BlockSize = file.BlockSize,
            LogicalSectorSize = file.SectorSize,
            LogLength = file.LogLength,
            VirtualDiskId = Guid.NewGuid(),
            DataWriteGuid = Guid.NewGuid(),
            FileWriteGuid = Guid.NewGuid(),
            ParentLocator = locator,
        };
        await VhdxCreator.CreateAsync(storage, parameters, TestContext.Current.CancellationToken);
    }

    /// <summary>An image's structures as they are now, whoever has it open.</summary>
    public static async Task<VhdxMetadata> ReadMetadataAsync(IStorageResolver resolver, string name)
    {
        await using var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force });
        return await VhdxMetadataReader.ReadAsync(storage, new ImageOpenOptions(), TestContext.Current.CancellationToken);
    }

    /// <summary>Opens images, leaf first; the leaf for writing.</summary>
    public static Task<ChainDevice> OpenAsync(IStorageResolver resolver, params IReadOnlyList<string> names) =>
        OpenAsync(resolver, new ImageOpenOptions { Writable = true }, names);

    /// <summary>Opens images, leaf first; parents are taken as given.</summary>
    public static async Task<ChainDevice> OpenAsync(IStorageResolver resolver, ImageOpenOptions options, params IReadOnlyList<string> names) =>
        (await OpenWithLeafAsync(resolver, options, names)).Device;

    /// <summary>Opens an image for writing that has a clock of its own.</summary>
    public static async Task<ChainDevice> OpenAsync(IStorageResolver resolver, TimeProvider clock, string name) =>
        (await OpenWithLeafAsync(resolver, new ImageOpenOptions { Writable = true }, [name], clock)).Device;

    /// <summary>Opens images, leaf first, and shows the leaf too. No commit comes by itself, however slow the machine is, unless a clock is given that makes it.</summary>
    public static async Task<(ChainDevice Device, IImageLayer Leaf)> OpenWithLeafAsync(IStorageResolver resolver, ImageOpenOptions options, IReadOnlyList<string> names, TimeProvider? clock = null)
    {
        var gate = new InFlightGate();
        var layers = new List<IImageLayer>();
        foreach (var name in names)
        {
            var isWritable = options.Writable && layers.Count == 0;
            var storage = await resolver.OpenAsync(name, isWritable ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading);
            try
            {
                var metadata = await VhdxMetadataReader.ReadAsync(storage, options, TestContext.Current.CancellationToken);
                layers.Add(isWritable ? await VhdxWriterOpener.OpenAsync(storage, metadata, options, gate, default) : VhdxLayer.Open(storage, metadata, options));
            }
            catch
            {
                await storage.DisposeAsync();
                throw;
            }
        }

        var info = new BlockDeviceInfo { Name = names[0], IsReadOnly = !options.Writable, LogicalSectorSize = layers[0].LogicalSectorSize };
        return (new ChainDevice(new ChainState(layers, layers[0].Length), gate, info, clock ?? new ManualClock()), layers[0]);
    }

    /// <summary>The whole disk as the independent reader reads it, the log replayed; leaf first.</summary>
    public static async Task<byte[]> ReadPlainlyAsync(IStorageResolver resolver, params IReadOnlyList<string> names)
    {
        using var chain = await OpenPlainlyAsync(resolver, names);
        return chain.ReadAll();
    }

    /// <summary>Images as the independent reader sees them now, whoever has them open; leaf first.</summary>
    public static async Task<PlainVhdxChain> OpenPlainlyAsync(IStorageResolver resolver, params IReadOnlyList<string> names)
    {
        var files = new List<Stream>();
        foreach (var name in names)
        {
            files.Add(new Testing.StorageStream(await resolver.OpenAsync(name, StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force })));
        }

        return PlainVhdxChain.Open([.. files]);
    }
}
