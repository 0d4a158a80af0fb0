using System.Globalization;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Model;

/// <summary>A chain of images of mixed makers, block sizes and lengths on a medium of moods, and what it holds.</summary>
internal sealed class ModelChain
{
    private const int MaxDepth = 8;
    private const string Remembered = "/remembered";
    private static readonly int[] BlockSizes = [4096, 8192, 16384, 65536];

    private readonly List<string> _description = [];
    private readonly MemoryStorageResolver _memory;
    private FolderResolver? _files;

    private ModelChain(IStorageResolver resolver, MemoryStorageResolver memory)
    {
        Resolver = resolver;
        _memory = memory;
    }

    public IStorageResolver Resolver { get; private set; }

    /// <summary>Bytes that releases are whole multiples of now and then.</summary>
    public int ReleaseUnit { get; private init; } = 4096;

    /// <summary>The leaf's name.</summary>
    public string Leaf { get; private set; } = "";

    /// <summary>What the disk holds.</summary>
    public byte[] Content { get; private set; } = [];

    /// <summary>A chain of VHD, over a raw image or not.</summary>
    public static async Task<ModelChain> CreateVhdAsync(Random random)
    {
        var (resolver, memory) = CreateMedium(random, pieceSize: 512);
        var chain = new ModelChain(resolver, memory);
        var depth = random.Next(1, MaxDepth + 1);
        var foreign = random.Next(0, depth + 1);
        chain.AddForeign(memory, random, foreign);
        for (var i = foreign; i < depth; i++)
        {
            await chain.AddOwnAsync(random, i);
        }

        return chain;
    }

    /// <summary>A chain of VHDX.</summary>
    public static async Task<ModelChain> CreateVhdxAsync(Random random)
    {
        var (resolver, memory) = CreateMedium(random, pieceSize: 16384);
        var images = new ModelVhdxImages(resolver, memory, random);
        var depth = random.Next(1, MaxDepth + 1);
        var foreign = random.Next(0, Math.Min(depth, 3) + 1);
        for (var i = 0; i < depth; i++)
        {
            if (i < foreign)
            {
                images.AddForeign(i);
            }
            else
            {
                await images.AddOwnAsync(i, memory.CanPunch);
            }
        }

        var chain = new ModelChain(resolver, memory) { Content = images.Content, Leaf = images.Leaf, ReleaseUnit = 1 << 20 };
        chain._description.Add(images.ToString());
        return chain;
    }

    /// <summary>Moves the images into files, which are reached so from here on.</summary>
    public async Task MoveToFilesAsync(string folder, IoSettings io)
    {
        var files = new FolderResolver(folder, io);
        foreach (var name in _memory.Names)
        {
            await using var from = await _memory.OpenAsync(name, StorageOpenOptions.ForReading);
            await CopyAsync(from, files.RealName(name));
            _memory.Delete(name);
        }

        Resolver = _files = files;
    }

    /// <summary>The images are real files.</summary>
    public bool IsInFiles => _files is not null;

    /// <summary>Remembers the leaf's file as it is now, though it is open.</summary>
    public async Task RememberLeafAsync()
    {
        if (_files is null)
        {
            _memory.Copy(Leaf, Remembered);
            return;
        }

        await using var open = FileStorage.Open(_files.RealName(Leaf), StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force, Io = IoSettings.Batch });
        await CopyAsync(open, _files.RealName(Remembered));
    }

    /// <summary>Puts the leaf's file back as it was remembered: as a process leaves it that is killed.</summary>
    public void RestoreLeaf()
    {
        if (_files is null)
        {
            _memory.Copy(Remembered, Leaf);
            return;
        }

        File.Move(_files.RealName(Remembered), _files.RealName(Leaf), overwrite: true);
    }

    /// <summary>What the independent reader finds in a chain of VHDX.</summary>
    public async Task<byte[]> ReadPlainlyAsync()
    {
        var files = new List<Stream>();
        for (var name = Leaf; name is not null; name = NextBelow(name))
        {
            files.Add(_files is null
                ? new StorageStream(await _memory.OpenAsync(name, StorageOpenOptions.ForReading))
                : new FileStream(_files.RealName(name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        }

        using var chain = PlainVhdxChain.Open([.. files]);
        return chain.ReadAll();
    }

    public override string ToString() => string.Join(" <- ", _description);

    // Holes stay holes: a block may be 256 MiB.
    private static async Task CopyAsync(IStorage from, string name)
    {
        await using var to = FileStorage.Open(name, StorageOpenOptions.ForCreating with { Io = IoSettings.Batch });
        await to.SetLengthOrThrowAsync(from.Length);
        var chunk = new byte[1 << 20];
        for (long offset = 0; offset < from.Length;)
        {
            var run = from.Map(offset, Math.Min(chunk.Length, from.Length - offset));
            if (!run.IsHole)
            {
                var part = chunk.AsMemory(0, (int)run.Length);
                await from.ReadExactAsync(offset, part);
                await to.WriteExactAsync(offset, part);
            }

            offset += run.Length;
        }
    }

    // Images are named by their place, from the base on.
    private static string? NextBelow(string name)
    {
        var place = int.Parse(name.AsSpan(1, 1), CultureInfo.InvariantCulture);
        return place == 0 ? null : $"/{place - 1}{name[2..]}";
    }

    private static (FaultResolver Resolver, MemoryStorageResolver Memory) CreateMedium(Random random, int pieceSize)
    {
        var memory = new MemoryStorageResolver { CanPunch = random.Next(2) == 0, ReadsAtOnce = random.Next(2) == 0 };
        var plan = new FaultPlan(random.Next())
        {
            DelayProbability = random.Next(3) * 0.15,
            ShortReadProbability = random.Next(2) * 0.3,
            PieceSize = random.Next(2) * pieceSize,
        };
        return (new FaultResolver(memory, plan), memory);
    }

    /// <summary>The lowest images, with sparse bitmaps and gaps, made without the library.</summary>
    private void AddForeign(MemoryStorageResolver memory, Random random, int count)
    {
        PlainVhdBuilder? parent = null;
        for (var i = 0; i < count; i++)
        {
            var builder = new PlainVhdBuilder
            {
                FileName = $"{i}.vhd",
                Size = Size(random),
                BlockSize = BlockSizes[random.Next(BlockSizes.Length)],
                Dialect = parent is null ? (PlainDialect)random.Next(3) : random.Next(2) == 0 ? PlainDialect.Windows : PlainDialect.Xen,
                IsFixed = parent is null && random.Next(4) == 0,
                Id = (byte)(i + 1),
                Parent = parent,
            };
            for (var sector = 0; sector < builder.Size / 512; sector++)
            {
                if (random.Next(8) < sector / 8 % 4 * 2)
                {
                    var content = new byte[512];
                    random.NextBytes(content);
                    builder.Put(sector, content);
                }
            }

            Leaf = "/" + builder.FileName;
            memory.Add(Leaf, builder.Build());
            Content = builder.Content();
            _description.Add($"{builder.Dialect} {(builder.IsFixed ? "fixed" : builder.BlockSize)} {builder.Size}");
            parent = builder;
        }
    }

    private async Task AddOwnAsync(Random random, int index)
    {
        var isRoot = index == 0;
        var isRaw = isRoot && random.Next(4) == 0;
        var size = Size(random);
        var name = $"/{index}.{(isRaw ? "raw" : "vhd")}";
        var options = new ImageCreateOptions
        {
            Format = isRaw ? ImageFormat.Raw : ImageFormat.Vhd,
            Kind = isRaw || (isRoot && random.Next(4) == 0) ? ImageKind.Fixed : isRoot ? ImageKind.Dynamic : ImageKind.Differencing,
            Size = size,
            Parent = isRoot ? null : Leaf,
        };
        options = options.Kind == ImageKind.Fixed ? options : options with { BlockSize = BlockSizes[random.Next(BlockSizes.Length)] };
        await using var disk = await VirtualDisk.CreateAsync(name, options, Resolver);
        _description.Add($"own {options.Kind} {options.BlockSize} {size}");

        // Behind the parent's end are zeros; what the parent has behind the child's end is out of sight.
        var below = Content;
        Content = new byte[size];
        below.AsSpan(0, Math.Min(below.Length, size)).CopyTo(Content);
        Leaf = name;
        for (var i = random.Next(12); i > 0; i--)
        {
            var offset = random.Next(size);
            var bytes = new byte[random.Next(1, Math.Min(size - offset, 20_000) + 1)];
            random.NextBytes(bytes);
            await disk.WriteAsync(offset, bytes);
            bytes.CopyTo(Content, offset);
        }
    }

    private static int Size(Random random) => 512 * random.Next(100, 400);
}
