using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;

namespace VhdCore.Simulation;

/// <summary>An image appears under its name only when it is whole, and what had the name before stays until then; what a cut leaves under the other name is refused, or whole.</summary>
public class CreationTests(ITestOutputHelper output)
{
    private const string Name = "/disk";
    private const string Parent = "/parent";
    private const int Size = 64 * 1024;
    private const int FullyPresent = 6;

    // One of the two footers may be there before the other: enough to find all the rest.
    private static readonly string[] OneFooter = ["VHD-FOOTER-COPY-MISSING", "VHD-FOOTER-END-MISSING", "VHD-FOOTER-CHECKSUM"];

    public static TheoryData<ImageFormat, ImageKind, bool> Images
    {
        get
        {
            var images = new TheoryData<ImageFormat, ImageKind, bool>();
            foreach (var isExtensionOrdered in new[] { false, true })
            {
                images.Add(ImageFormat.Raw, ImageKind.Fixed, isExtensionOrdered);
                foreach (var kind in new[] { ImageKind.Fixed, ImageKind.Dynamic, ImageKind.Differencing })
                {
                    images.Add(ImageFormat.Vhd, kind, isExtensionOrdered);
                    images.Add(ImageFormat.Vhdx, kind, isExtensionOrdered);
                }
            }

            return images;
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_cut_while_an_image_is_replaced_leaves_the_old_one_or_the_whole_new_one(ImageFormat format, ImageKind kind, bool isExtensionOrdered)
    {
        var tally = await CutAsync(format, kind, isExtensionOrdered);

        output.WriteLine(tally.ToString());
        Assert.Null(tally.Fault);
        Assert.True(tally.Old > 0 && tally.New > 0, $"No cut has left one of them: {tally}");
        Assert.True(format == ImageFormat.Raw || (tally.Refused > 0 && tally.Whole > 0), $"No cut has left half an image, or a whole one without its name: {tally}");
    }

    private static async Task<Tally> CutAsync(ImageFormat format, ImageKind kind, bool isExtensionOrdered)
    {
        var old = Pattern.Create(0, 4096, 1);
        var expected = new byte[Size];
        var world = new CrashWorld { IsExtensionOrdered = isExtensionOrdered };
        world.Add(Name, old);
        if (kind == ImageKind.Differencing)
        {
            expected = Pattern.Create(0, Size, 2);
            world.Add(Parent, BuildParent(format, expected));
        }

        var random = new Random(1);
        var tally = new Tally();
        world.OnStep = step =>
        {
            for (var i = 0; i < 50 && step.Name != Parent && tally.Fault is null; i++)
            {
                Judge(world.Cut(random), format, old, expected, tally);
            }
        };
        var options = new ImageCreateOptions
        {
            Format = format,
            Kind = kind,
            Size = kind == ImageKind.Differencing ? null : Size,
            BlockSize = kind == ImageKind.Fixed ? null : format == ImageFormat.Vhd ? 4096 : 1 << 20,
            Parent = kind == ImageKind.Differencing ? Parent : null,
        };
        var disk = await VirtualDisk.CreateAsync(Name, options, world);
        world.OnStep = null;
        Judge(world.Cut(random), format, [], expected, tally);
        await disk.DisposeAsync();
        return tally;
    }

    private static byte[] BuildParent(ImageFormat format, byte[] content)
    {
        if (format == ImageFormat.Vhd)
        {
            var parent = new PlainVhdBuilder { FileName = Parent[1..], Size = Size, BlockSize = 4096, Dialect = PlainDialect.Windows, Id = 1 };
            for (var sector = 0; sector < Size / SectorOracle.SectorSize; sector++)
            {
                parent.Put(sector, content.AsSpan(sector * SectorOracle.SectorSize, SectorOracle.SectorSize).ToArray());
            }

            return parent.Build();
        }

        var block = new byte[1 << 20];
        content.CopyTo(block, 0);
        return new PlainVhdxBuilder { DiskSize = Size, Blocks = { [0] = new PlainVhdxBlock(FullyPresent, block) } }.Build();
    }

    private static void Judge(CrashWorld left, ImageFormat format, byte[] old, byte[] expected, Tally tally)
    {
        foreach (var name in left.Names.Where(name => name != Parent))
        {
            if (name == Name && left.GetLength(name) == old.Length && left.GetBytes(name).AsSpan().SequenceEqual(old))
            {
                tally.Old++;
                continue;
            }

            if (name != Name && format == ImageFormat.Raw)
            {
                continue; // whatever there is, is an image
            }

            var reading = ReadAsync(left, name, format);
            Assert.True(reading.IsCompleted);
            try
            {
                var (content, finding) = reading.GetAwaiter().GetResult();
                tally.New += name == Name ? 1 : 0;
                tally.Whole += name == Name ? 0 : 1;
                if (finding is not null || !content.AsSpan().SequenceEqual(expected))
                {
                    tally.Fault ??= $"{name} opens, and {finding ?? "reads as another disk"}";
                }
            }
            catch (ImageException) when (name != Name)
            {
                tally.Refused++;
            }
            catch (ImageException exception)
            {
                tally.Fault ??= $"{name} is not whole: {exception.Message}";
            }
        }
    }

    private static async Task<(byte[] Content, string? Finding)> ReadAsync(CrashWorld left, string name, ImageFormat format)
    {
        await using var disk = await VirtualDisk.OpenAsync(name, new ImageOpenOptions { Format = format }, left);
        var content = disk.Length == Size ? await disk.Device.ReadBytesAsync(0, Size) : [];
        var report = await CheckOperation.RunAsync(name, new ImageOpenOptions { Format = format }, left);
        var finding = report.Findings.FirstOrDefault(finding => finding.Severity == CheckSeverity.Corruption && !(name != Name && OneFooter.Contains(finding.Id)));
        return (content, finding is null ? null : $"the check finds {finding.Id}: {finding.Message}");
    }

    private sealed record Tally
    {
        public int Old { get; set; }

        public int New { get; set; }

        /// <summary>Under another name, refused.</summary>
        public int Refused { get; set; }

        /// <summary>Under another name, and what it is to be.</summary>
        public int Whole { get; set; }

        public string? Fault { get; set; }
    }
}
